"""The library: `search`, `Study` and `load_study` without a shell."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from transformers import AutoModelForMaskedLM

import autobert_hf
from autobert_hf import GridSpace, load_study, search
from autobert_hf.cli import main
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import read_journal
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.study import StudyError
from autobert_hf.searchers.evaluators import Evaluator
from autobert_hf.searchers.methods.autobert_zero import AutoBertZero
from autobert_hf.searchers.settings.given import settings_from
from autobert_hf.searchers.strategies import Evolution
from autobert_hf.searchers.strategies.median_pruner import MedianPruner


pytestmark = pytest.mark.usefixtures("without_rendering")  # the commands' tests render
GRID = GridSpace(layers=[2, 4, 6], width=[64, 128])
TINY = {
    "cpu": True,
    "num_trials": 3,
    "population": 3,
    "vocab_size": 200,
    "length": 16,
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "warmup_steps": 2,
    "candidate_steps": 1,
    "batch_size": 8,
    "held_out_rows": 16,
    "final_tokens": 256,
    "mixed_precision": "no",
}


def my_scores(architecture):
    return {"loss": 1 / architecture["layers"], "size": architecture["width"]}


def own(folder, evaluator=my_scores, **given):
    options = {"space": GRID, "goals": {"loss": "min"}, "trials": 4, "output_dir": folder}
    return search(evaluator=evaluator, **(options | given))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(corpus(60, seed=0)))
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory, text):
    """A whole run of a method."""
    return search("autobert-zero", train_file=text, output_dir=tmp_path_factory.mktemp("found") / "run", **TINY)


def test_a_space_and_a_function_of_ones_own(tmp_path):
    study = own(tmp_path / "run", goals={"loss": "min", "size": "minimize"})
    assert len(study.trials) == 4 and study.complete
    assert all(trial.scores == my_scores(trial.architecture) for trial in study.trials)
    assert study.best.scores["loss"] == min(trial.scores["loss"] for trial in study.trials)
    assert study.front() == Goals.read(study.path).front(study.trials)
    assert study.picks() == {"model": study.best}
    assert repr(study).startswith(f"Study({str(tmp_path / 'run')!r}: 4 trials; complete; best: trial ")
    assert study.report().read_text().startswith("<!doctype html>")


def test_a_table_of_it(tmp_path):
    study = own(tmp_path / "run")
    table = study.to_pandas()
    assert [*table["setting_width"]] == [trial.architecture["width"] for trial in study.trials]
    assert [*table["score_loss"]] == [trial.scores["loss"] for trial in study.trials]


def test_larger_is_better_where_it_is_said(tmp_path):
    study = own(tmp_path / "run", goals={"size": "max"})
    assert study.best.scores["size"] == max(trial.scores["size"] for trial in study.trials)


@pytest.mark.parametrize("strategy", ["evolution", "random", "op-nas", "roulette", "exhaustive"])
def test_a_space_that_is_used_up_ends_the_search(tmp_path, strategy):
    study = own(tmp_path / "run", trials=50, strategy=strategy)
    assert len({trial.architecture for trial in study.trials}) == len(study.trials) == GRID.size
    assert study.complete and load_study(tmp_path / "run").complete


def test_a_larger_budget_goes_on(tmp_path):
    calls = []

    def counted(architecture):
        calls.append(architecture)
        return {"loss": architecture["layers"]}

    first = own(tmp_path / "run", counted, trials=2, strategy="exhaustive").trials
    longer = own(tmp_path / "run", counted, trials=5, strategy="exhaustive")
    assert longer.trials[:2] == first and len(longer.trials) == 5
    again = own(tmp_path / "run", counted, trials=1, strategy="exhaustive")
    assert again.trials == longer.trials
    assert calls == [trial.architecture for trial in longer.trials]


def test_one_seed_one_search(tmp_path):
    wide = GridSpace(layers=[*range(20)], width=[*range(20)])

    def scores(architecture):
        return {"loss": abs(architecture["layers"] - 7) + abs(architecture["width"] - 3)}

    runs = {
        name: own(tmp_path / name, scores, space=wide, trials=60, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    }
    asked = {name: [trial.architecture for trial in study.trials] for name, study in runs.items()}
    assert asked["a"] == asked["b"] != asked["c"]
    assert len(set(asked["a"])) == 60
    assert {trial.proposal.mutation for trial in runs["a"].trials} == {"sample", "mutate"}


def test_an_object_as_strategy_and_as_evaluator(tmp_path):
    class Layers(Evaluator):
        def evaluate(self, trial_id, architecture, report):
            return {"loss": architecture["layers"]}, {}

    goals = Goals.from_json({"goals": [GOAL], "limits": {"most": {}, "least": {}}})
    strategy = Evolution(GRID, goals, seed=0, population=2, parents=1, children=1)
    study = own(tmp_path / "run", Layers(), goals=goals, strategy=strategy)
    assert [trial.proposal.mutation for trial in study.trials] == ["sample", "sample", "mutate", "mutate"]
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["settings"]["strategy"] == "Evolution" and set(run["code"]) == {"Layers"}


GOAL = {"name": "loss", "direction": "minimize", "cost": "trained", "label": "loss", "unit": ""}


def test_scores_on_the_way_prune(tmp_path):
    def trained(architecture, report):
        for step in (1, 2):
            if not report(step, {"loss": architecture["layers"]}):
                break
        return {"loss": architecture["layers"]}

    goals = Goals.from_json({"goals": [GOAL], "limits": {"most": {}, "least": {}}})
    wide = GridSpace(layers=[*range(100)])
    study = own(tmp_path / "run", trained, space=wide, trials=40, pruner=MedianPruner(goals.main), strategy="random")
    first, later = study.trials[:25], study.trials[25:]
    middle = sorted(trial.scores["loss"] for trial in first)[12]
    assert all(trial.ok for trial in first) and {trial.status for trial in later} == {"done", "pruned"}
    for trial in later:
        behind = trial.scores["loss"] > middle
        assert (trial.status, len(trial.partial)) == (("pruned", 1) if behind else ("done", 2))


def test_an_edited_function_is_another_run(tmp_path):
    own(tmp_path / "run")

    def my_scores(architecture):
        return {"loss": 2 / architecture["layers"], "size": architecture["width"]}

    with pytest.raises(RunError, match="holds another run .my_scores: '.*' then, '.*' now"):
        own(tmp_path / "run", my_scores)


def test_a_version_stands_for_the_source(tmp_path):
    bound = partial(my_scores)
    with pytest.raises(ValueError, match="cannot be read, .* give version="):
        own(tmp_path / "run", bound)
    assert not (tmp_path / "run").exists()
    own(tmp_path / "run", bound, version="1")
    assert own(tmp_path / "run", partial(lambda a: {"loss": 9.0}), version="1").best.scores["loss"] < 9
    with pytest.raises(RunError, match="partial: '1' then, '2' now"):
        own(tmp_path / "run", bound, version="2")


def test_a_version_stands_for_a_class_too(tmp_path):
    """In a notebook the source of a class cannot be read."""
    names = {"AutoBertZero": AutoBertZero, "__name__": "__main__"}
    exec("class Mine(AutoBertZero): ...", names)
    with pytest.raises(ValueError, match="The source of <class '__main__.Mine'> cannot be read"):
        search(names["Mine"], output_dir=tmp_path / "run", **TINY)
    assert not (tmp_path / "run").exists()


def test_a_goal_that_is_not_returned(tmp_path):
    with pytest.raises(ValueError, match="my_scores returned no score for the goal 'accuracy'; it returned {'loss':"):
        own(tmp_path / "run", goals={"accuracy": "max"})


def broken(architecture):
    if architecture["layers"] == 4:
        raise KeyError("four")
    return {"loss": float("nan") if architecture["layers"] == 2 else 1.0}


def test_exceptions_go_through_and_leave_the_folder_free(tmp_path):
    with pytest.raises(KeyError, match="four"):
        own(tmp_path / "run", broken)
    before = load_study(tmp_path / "run")
    assert not before.complete and len(before.trials) < 4
    study = own(tmp_path / "run", broken, catch=KeyError, trials=6)
    reasons = {trial.architecture["layers"]: (trial.status, trial.reason) for trial in study.trials}
    assert reasons == {
        4: ("failed", "KeyError: 'four'"),
        2: ("failed", "broken returned loss nan"),
        6: ("done", ""),
    }
    assert "6 trials, 4 failed" in repr(study)


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("CUDA out of memory.")])
def test_exhausted_memory_of_a_function_is_one_of_its_exceptions(tmp_path, error):
    def hungry(architecture):
        raise error

    with pytest.raises(type(error)) as raised:
        own(tmp_path / "run", hungry)
    assert raised.value is error
    with pytest.raises(TrainingError, match=f"None of 6 candidates .* {type(error).__name__}: {error}"):
        own(tmp_path / "run", hungry, catch=type(error), trials=6)


def test_what_all_fails_says_so(tmp_path):
    with pytest.raises(TrainingError, match="None of 6 candidates could be trained; the last: ZeroDivisionError"):
        own(tmp_path / "run", lambda architecture: 1 // 0, catch=(ZeroDivisionError,), trials=6)


def test_the_folder_is_in_use_meanwhile(tmp_path):
    refusals = []

    def nested(architecture):
        with pytest.raises(RunError, match="is in use by another process") as refusal:
            own(tmp_path / "run", nested)
        refusals.append(refusal)
        return {"loss": 1.0}

    own(tmp_path / "run", nested, trials=1)
    assert len(refusals) == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"trials": 0}, "trials is 0: give at least 1"),
        ({"strategy": "magic"}, "strategy 'magic' is unknown: use one of op-nas, evolution"),
        ({"goals": {}}, "goals is {}: name a score and its direction"),
        ({"goals": {"loss": "down"}}, "The goal loss has direction 'down': give 'min' or 'max'"),
        ({"trails": 3}, "There is no setting trails: did you mean trials"),
        ({"space": AutoBertZero, "strategy": "exhaustive"}, "cannot be listed"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        own(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(TypeError, match="needs output_dir"):
        search("autobert-zero")
    with pytest.raises(TypeError, match="without a method also needs evaluator, goals"):
        search(space=GRID, output_dir=tmp_path)


def test_a_network_of_fields_that_a_configuration_has(tmp_path):
    space = GridSpace(num_hidden_layers=[1, 2], hidden_size=[24, 48], vocab_size=[100])
    study = own(tmp_path / "run", lambda architecture: {"loss": -architecture["hidden_size"]}, space=space)
    model, again = study.model(study.best), study.model(study.best)
    assert model.config.hidden_size == 48 and model.get_input_embeddings().weight.shape == (100, 48)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    model.save_pretrained(tmp_path / "model")
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "model").config.num_hidden_layers in (1, 2)


def test_a_network_that_only_its_author_knows(tmp_path):
    study = own(tmp_path / "run")
    with pytest.raises(StudyError, match="AutoBertConfig has no field layers or width"):
        study.model(study.best)
    with pytest.raises(StudyError, match="no final training"):
        study.model(study.best, train=True)


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        ("status", 0, "searched by a function, seed 0"),
        ("report", 0, "No model, so no card"),
        ("select", 1, "searched by a function, which leaves scores and no models"),
        ("push --repo-id me/name", 1, "save the model that you made from them in"),
    ],
)
def test_commands_on_the_run_of_a_function(tmp_path, capsys, command, code, sentence):
    own(tmp_path / "run")
    name, *options = command.split()
    assert main([name, str(tmp_path / "run"), *options]) == code
    assert sentence in "".join(capsys.readouterr())


def test_a_study_read_again(tmp_path):
    study = own(tmp_path / "run")
    again = load_study(str(tmp_path / "run"))
    assert (again.trials, again.best, again.complete) == (study.trials, study.best, True)
    with pytest.raises(RunError, match=r"holds no run.json"):
        load_study(tmp_path)


def journal(folder: Path) -> list[dict]:
    records = read_journal(folder / "journal.jsonl")
    for record in records:
        record["cost"].pop("seconds")
    return records


def test_a_method_is_what_the_command_is(found, text, tmp_path, capsys):
    options = [part for name, value in TINY.items() if name != "cpu" for part in (f"--{name}", str(value))]
    command = ["search", "--cpu", "--train-file", str(text), "--output-dir", str(tmp_path / "run"), *options]
    assert main(command) == 0
    assert journal(tmp_path / "run") == journal(found.path)
    files = [sorted(p.name for p in (folder / "model").iterdir()) for folder in (tmp_path / "run", found.path)]
    assert files[0] == files[1] and "README.md" in files[0]
    runs = [json.loads((folder / "run.json").read_text()) for folder in (tmp_path / "run", found.path)]
    assert runs[0] == runs[1]
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (tmp_path / "run", found.path)]
    assert weights[0] == weights[1]


def test_the_study_of_a_method(found):
    study = load_study(found.path)
    assert study.complete and found.complete
    assert study.picks() == found.picks() == {"model": found.best}
    judged = study.model(study.best, train=False)
    assert judged.config.layer_types == AutoModelForMaskedLM.from_pretrained(found.path / "model").config.layer_types
    with study.opened() as method:
        assert isinstance(method, AutoBertZero)


def test_another_precision_in_the_same_process_and_a_script_s_own_accelerator(found, text, tmp_path):
    mine = Accelerator()
    before = mine.mixed_precision
    study = search("autobert-zero", train_file=text, output_dir=tmp_path / "a", **(TINY | {"mixed_precision": "bf16"}))
    assert json.loads((tmp_path / "a" / "run.json").read_text())["settings"]["mixed_precision"] == "bf16"
    assert mine.mixed_precision == before
    with study.opened() as method, found.opened() as other:
        assert other.run.team.accelerator.mixed_precision == "no"
    with study.opened() as method:
        assert method.run.team.accelerator.mixed_precision == "bf16"
    assert mine.mixed_precision == before


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"teachr": "x"}, "There is no setting teachr: did you mean teacher"),
        ({"qwxz": 1}, "There is no setting qwxz: known are "),
        ({"seed": "abc"}, "seed is 'abc': give a whole number"),
        ({"cpu": "perhaps"}, "cpu is 'perhaps': give True or False"),
        ({"seed": True}, "seed is True: give a whole number"),
        ({"num_trials": 2.5}, "num_trials is 2.5: give a whole number"),
        ({"max_flops": "many"}, "many is not a number: write 5000000, 5e6 or 5M"),
        ({"norm_position": "middle"}, "norm_position is 'middle': choose from post, pre"),
        ({"tokenizer": object()}, "tokenizer holds <object object at .*: give a text"),
        # what both ways in say, in the same words
        ({"num_trials": 0}, "num_trials is 0: give at least 1"),
        ({"max_latency": "half"}, "max_latency is 'half': write 0.5 or 0.5,0.33,0.25"),
        ({"loss": "paper"}, "--loss paper learns from a teacher: give --teacher, or --loss mlm"),
    ],
)
def test_settings_that_cannot_be(tmp_path, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        search("autotinybert", output_dir=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_method_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match="gradient is unknown: use one of autobert-zero, autotinybert"):
        search("gradient", output_dir=tmp_path)


def test_settings_as_python_has_them():
    kind = autobert_hf.searchers.methods.METHODS["autotinybert"].Settings
    found = settings_from(
        kind,
        {
            "output_dir": Path("out"),
            "train_file": "text.parquet",
            "validation_file": [Path("a.txt"), "b.txt"],
            "max_latency": 0.5,
            "max_params": "5M",
            "max_flops": 1e9,
            "final_tokens": 3e6,
            "learning_rate": 1,
            "tokenizer": None,
            "trade_off": "flops",
        },
    )
    assert (found.output_dir, found.train_file) == ("out", ["text.parquet"])
    assert (found.validation_file, found.trade_off) == (["a.txt", "b.txt"], ["flops"])
    assert (found.max_params, found.max_flops, found.final_tokens) == (5e6, 1e9, 3_000_000)
    assert (found.tokenizer, found.learning_rate) == ("", 1.0)
    assert isinstance(found.final_tokens, int) and isinstance(found.learning_rate, float)
    assert found.limits_of_latency == [0.5]
    assert settings_from(kind, {"output_dir": "out", "max_latency": [0.3, 0.5]}).limits_of_latency == [0.5, 0.3]


@pytest.mark.parametrize("notebook", [False, True])
def test_ctrl_c(tmp_path, monkeypatch, notebook):
    asked = []

    def scores(architecture):
        asked.append(architecture)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"loss": 1.0}

    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
        study = own(tmp_path / "run", scores)
        assert len(study.trials) == 2 and not study.complete and "not complete" in repr(study)
    else:
        with pytest.raises(KeyboardInterrupt):
            own(tmp_path / "run", scores)
    assert own(tmp_path / "run", scores).complete  # the folder is free, and the search goes on
    assert asked[2] == asked[3] and len(asked) == 5


def test_ctrl_c_in_the_last_training_of_a_notebook(found, text, tmp_path, monkeypatch):
    """All candidates are there, but no model: not complete, here and when it is read again."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(AutoBertZero, "model", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    study = search("autobert-zero", train_file=text, output_dir=tmp_path / "run", **TINY)
    assert len(study.trials) == TINY["num_trials"] and not study.complete
    assert not load_study(tmp_path / "run").complete
    monkeypatch.undo()
    assert search("autobert-zero", train_file=text, output_dir=tmp_path / "run", **TINY).complete
    assert journal(tmp_path / "run") == journal(found.path)


def test_ctrl_c_before_there_is_anything_goes_on_up(text, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(AutoBertZero, "study", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        search("autobert-zero", train_file=text, output_dir=tmp_path / "run", **TINY)


def test_the_public_names_are_listed():
    assert {"search", "load_study", "Study", "GridSpace"} <= set(dir(autobert_hf)) & set(autobert_hf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        _ = autobert_hf.serach
