"""AutoTinyBERT as a command: a teacher and limits in, models out; killed anywhere, elsewhere, and with bad input."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaModel,
)

import autobert_hf
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.modeling.convert import stock_refusal
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import read_journal
from autobert_hf.records.json_files import read_record, write_record
from autobert_hf.searchers.predicted_latency import mean_sizes

from ..conftest import Runner, options


ROOT = Path(__file__).parents[3]
SMALL = {
    "length": 24,
    "batch_size": 8,
    "held_out_rows": 16,
    "supernet_steps": 3,
    "num_trials": 8,
    "population": 2,
    "latency_samples": 5,
    "latency_length": 16,
    "width_step": 8,
    "inner_step": 8,
    "final_tokens": 400,
    "mixed_precision": "no",
    "max_latency": "0.6,0.3",
}


class Search:
    """The search above as a command, with a clock that counts work."""

    def __init__(self, runner: Runner, teacher: Path) -> None:
        self.runner = runner
        self.teacher = teacher

    def __call__(self, folder: Path, *, kill: dict[str, Any] | None = None, slower: float = 1, **settings: Any) -> int:
        """The exit code."""
        request = {"flops_clock": True, "slower": slower} | ({"kill": kill} if kill else {})
        return self.runner(["search", "--cpu", *self.options(folder, settings)], **request)

    def options(self, folder: Path, settings: dict[str, Any]) -> list[str]:
        text = {"method": "autotinybert", "teacher": self.teacher, "train_file": self.runner.text(120)}
        return options({"output_dir": folder} | SMALL | text | settings)

    def send(self, command: list[str]) -> int:
        return self.runner(command, flops_clock=True)

    @property
    def log(self) -> str:
        return self.runner.log

    def refused(self, folder: Path, **settings: Any) -> str:
        assert self(folder, **settings) == 1, self.log
        assert "Traceback" not in self.log
        return self.log.splitlines()[-1]


@pytest.fixture(scope="module")
def search(runner: Runner, tiny_teacher: Path) -> Search:
    return Search(runner, tiny_teacher)


@pytest.fixture(scope="module")
def finished(search: Search, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert search(folder) == 0, search.log
    return folder


def trials(folder: Path) -> list[dict[str, Any]]:
    records = read_journal(folder / "journal.jsonl")
    for record in records:
        record["cost"].pop("seconds", None)
    return records


def test_its_supernet_serves_every_size(finished: Path, tmp_path: Path) -> None:
    """In the form of `AutoBertSuperNet`: by the names of its front, by limits and by sizes, bitwise as extracted."""
    folder = finished / "supernet" / "model"
    space = AutoConfig.from_pretrained(folder).supernet
    study = autobert_hf.load_study(finished)
    with study.opened() as method:
        method.start.load(method.supernet)
        for point in space["front"]:
            trial = next(one for one in study.trials if one.scores == point["scores"])
            expected = method.supernet.extract(trial.architecture).state_dict()
            for architecture in (point["name"], point["sizes"]):
                served = AutoModel.from_pretrained(folder, architecture=architecture).state_dict()
                assert served.keys() == expected.keys()
                assert all(torch.equal(served[name], tensor) for name, tensor in expected.items())
    assert space["front"] and all(point["name"].endswith("x") for point in space["front"])
    most = max(point["scores"]["latency"] for point in space["front"])
    assert AutoModel.from_pretrained(folder, architecture={"max_latency": most}).config.supernet is None
    autobert_hf.AutoBertSuperNet.from_pretrained(folder).extract("smallest").save_pretrained(tmp_path)
    smallest = AutoModel.from_pretrained(folder, architecture="smallest").state_dict()
    saved = AutoModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in smallest.items())


def report(folder: Path, name: str) -> Any:  # noqa: ANN401 (JSON)
    return read_record(folder / "report" / f"{name}.json")


def trainings(folder: Path) -> list[dict[str, Any]]:
    """The reports of final trainings, by the numbers of their trials."""
    return [read_record(path) for path in sorted((folder / "report").glob("training-*.json"))]


def assert_same(folder: Path, other: Path) -> None:
    assert trials(folder) == trials(other)
    names = {path.relative_to(other) for path in other.rglob("*")}
    assert {path.relative_to(folder) for path in folder.rglob("*")} == names
    for name in names:
        if name.suffix == ".safetensors":
            ours, theirs = load_file(folder / name), load_file(other / name)
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    for name in ("depths", "baselines", "latency"):
        assert report(folder, name) == report(other, name)
    assert trainings(folder) == trainings(other)


def test_a_model_for_each_limit(finished: Path) -> None:
    for name, limit in (("model", 0.6), ("model-0.3", 0.3)):
        model = AutoModel.from_pretrained(finished / name)
        assert type(model) is autobert_hf.AutoBertModel
        ids = AutoTokenizer.from_pretrained(finished / name)("a dog", return_tensors="pt")
        assert model(**ids).last_hidden_state.isfinite().all()
        sizes = [
            (row["architecture"]["settings"]["hidden_size"], row["scores"]["latency"]) for row in trials(finished)
        ]
        assert min(time for width, time in sizes if width == model.config.hidden_size) <= limit


def test_trials_lie_in_the_windows_by_turns(finished: Path) -> None:
    for row in trials(finished):
        limit = (0.6, 0.3)[row["trial"] // 2 % 2]
        assert row["scores"]["latency"] <= limit
    above = [row["scores"]["latency"] > 0.3 for row in trials(finished)]
    assert above == [True, True, False, False] * 2


def test_baselines_stand_beside_the_network_that_was_found(finished: Path) -> None:
    first, second = report(finished, "baselines").values()
    assert (first["limit"], second["limit"]) == (0.6, 0.3)
    assert set(first["networks"]) == {"found", "default rule", "cut", "teacher in int8", "static table"}
    assert all(row["sentence_error"] >= 0 for row in first["networks"].values())
    assert first["networks"]["default rule"]["time"] <= 0.61
    for training in trainings(finished):
        curves = training["curves"]
        assert set(curves) == {"found", "default rule", "cut"}
        assert len({tuple(tokens for tokens, _ in curve) for curve in curves.values()}) == 1, "unequal training"
        assert set(training["errors"]) == set(curves)
        assert all(error > 0 for error in (training["linear_floor"], *training["errors"].values()))
    kept = {path.name.rpartition("-")[0] for path in (finished / "baselines").iterdir()}
    assert kept == {"default-rule", "cut"}


def test_a_shallow_network_keeps_the_layers_that_text_asks_for(finished: Path) -> None:
    depths = report(finished, "depths")
    assert {depth: len(layers) for depth, layers in depths.items()} == {"1": 1, "2": 2, "3": 3}
    assert set(depths["1"]) < set(depths["2"]) < set(depths["3"])


def test_a_finished_run_stays_as_it_is_and_says_so(search: Search, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*.safetensors")}
    assert search(finished) == 0, search.log
    assert {path: path.read_bytes() for path in before} == before
    assert search.send(["status", str(finished)]) == 0
    assert "supernet/weights: trained" in search.log


def test_a_run_knows_its_teacher_by_its_files_and_publishes_no_path(
    search: Search, finished: Path, tmp_path: Path
) -> None:
    """The same teacher elsewhere goes on, a changed one does not."""
    published = [path for path in finished.rglob("*.json*") if path.name not in ("local.json", "tokenizer.json")]
    assert len(published) > 10
    assert [path for path in published if str(search.teacher.parent) in path.read_text()] == []
    assert str(search.teacher) in (finished / "local.json").read_text()
    shutil.copytree(finished, tmp_path / "run")
    shutil.copytree(search.teacher, tmp_path / "moved")
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    assert search(tmp_path / "run", teacher=tmp_path / "moved") == 0, search.log
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before
    config = tmp_path / "moved" / "1_Pooling" / "config.json"
    config.write_text(config.read_text().replace("true", "false"))
    said = search.refused(tmp_path / "run", teacher=tmp_path / "moved")
    assert "holds another run (teacher: " in said and "1_Pooling/config.json" in said


CHAINS = {
    "before the search": [
        ("line", 2, True),  # a measured network
        ("write predictor.json", 0, True),
        ("write depths.json", 0, False),
        ("step", 1, False),
        ("save weights", 0, True),
    ],
    "in the search and after": [
        ("line", 8, True),
        ("step", 1, False),
        ("save training-default rule", 0, True),
        ("write latency.json", 0, True),
        ("rename model-0.3", 0, False),
    ],
}


def test_a_point_is_selected_afterwards(search: Search, finished: Path) -> None:
    (best,) = sorted((row for row in trials(finished) if row["scores"]["latency"] <= 0.3), key=loss_of)[:1]
    assert search.send(["select", str(finished), "--max-latency", "0.3"]) == 0, search.log
    folder = finished / "selected" / f"trial-{best['trial']:06d}"
    sizes = best["architecture"]["settings"]
    assert AutoModel.from_pretrained(folder).config.hidden_size == sizes["hidden_size"]
    shutil.rmtree(finished / "selected")


def loss_of(row: dict[str, Any]) -> float:
    return row["scores"]["loss"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_make_the_trials_of_one(search: Search, tmp_path: Path) -> None:
    """Times are measured here, so that both runs are given the same predictor; the machine must not be asked again."""
    one, two = tmp_path / "one", tmp_path / "two"
    given = {"baselines": False, "latency_error": 1.0, "max_latency": "0.8"}
    assert launch(search, one, given, ["--cpu", "--num_machines=1", "--num_processes=1"]) == 0, search.log
    prepared = {"run.json", "local.json", "text", "latency"}
    shutil.copytree(one, two, ignore=lambda path, names: {n for n in names if path == str(one)} - prepared)
    assert launch(search, two, given, ["--config_file", str(ROOT / "examples/cpu2.yaml")]) == 0, search.log
    assert [row["architecture"] for row in trials(two)] == [row["architecture"] for row in trials(one)]
    for ours, theirs in zip(trials(two), trials(one), strict=True):
        assert ours["scores"] == pytest.approx(theirs["scores"], rel=1e-5)
    mine, other = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    for name in other:
        if "key.bias" not in name:  # softmax is blind to it: its gradient is rounding, which Adam makes a full step
            torch.testing.assert_close(mine[name], other[name], atol=2e-5, rtol=0)


def launch(search: Search, folder: Path, given: dict[str, Any], how: list[str]) -> int:
    """As `search`, by Accelerate."""
    command = [sys.executable, "-m", "accelerate.commands.launch", *how, "--main_process_port=0", "-m", "autobert_hf"]
    command += ["search", "--cpu", *search.options(folder, given)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    search.runner.file.write_text(done.stderr)
    return done.returncode


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_killed_run_ends_as_an_undisturbed_one(
    search: Search, finished: Path, tmp_path: Path, chain: list[tuple[str, int, bool]]
) -> None:
    for name, nth, half in chain:
        code = search(tmp_path / "run", kill={"name": name, "nth": nth, "half": half})
        assert code == -9, f"not killed at {name}: {search.log}"
    assert search(tmp_path / "run") == 0, search.log
    assert_same(tmp_path / "run", finished)


@pytest.mark.parametrize(
    ("event", "nth", "lines"),
    [("line", 10, 3), pytest.param("write training-", 0, 8, marks=pytest.mark.slow)],
    ids=["in the search", "in the final training"],
)
def test_on_another_machine_latencies_are_measured_again_and_trials_not_mixed(
    search: Search, finished: Path, tmp_path: Path, event: str, nth: int, lines: int
) -> None:
    folder = tmp_path / "run"
    assert search(folder, kill={"name": event, "nth": nth}) == -9
    predictor = report(folder, "predictor")
    predictor["conditions"]["machine"] = "another one"
    write_record(folder / "report" / "predictor.json", predictor)
    assert search(folder) == 0, search.log
    assert trials(folder) == trials(finished)
    assert len((folder / "journal-other-machine-0.jsonl").read_text().splitlines()) == lines
    assert (folder / "final-other-machine-0").exists() == (event != "line")


def test_stock_winners_are_plain_berts_and_sentence_transformers(search: Search, tmp_path: Path) -> None:
    sentences = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    folder = tmp_path / "run"
    assert search(folder, stock=True, loss="sentences", baselines=False, max_latency="0.6") == 0, search.log
    model = AutoModel.from_pretrained(folder / "model")
    assert type(model) is BertModel
    pooling = json.loads((folder / "model" / "1_Pooling" / "config.json").read_text())
    assert pooling["embedding_dimension"] == model.config.hidden_size
    assert (folder / "model" / "config_sentence_transformers.json").exists()
    rows = AutoTokenizer.from_pretrained(folder / "model")(["a dog", "the cat sat"], padding=True, return_tensors="pt")
    with torch.no_grad():
        states, mask = model(**rows).last_hidden_state, rows["attention_mask"][..., None]
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    opened = sentences.SentenceTransformer(str(folder / "model"), device="cpu").encode(["a dog", "the cat sat"])
    torch.testing.assert_close(torch.tensor(opened), vectors, atol=1e-5, rtol=0)
    for row in trials(folder):
        config = Architecture.from_json(row["architecture"]).to_config(autobert_hf.AutoBertConfig())
        assert stock_refusal(config) is None


def test_a_classifier_teaches_without_its_labels(search: Search, tiny_teacher: Path, tmp_path: Path) -> None:
    """Else AutoModelForSequenceClassification would give random answers under their names."""
    teacher, run = tmp_path / "teacher", tmp_path / "run"
    shutil.copytree(tiny_teacher, teacher)
    names = {"id2label": {0: "neg", 1: "neu", 2: "pos"}, "label2id": {"neg": 0, "neu": 1, "pos": 2}}
    BertForSequenceClassification(BertConfig.from_pretrained(tiny_teacher, **names)).save_pretrained(teacher)
    assert search(run, teacher=teacher, stock=True, baselines=False, max_latency="0.6", num_trials=3) == 0, search.log
    assert "without its head (BertForSequenceClassification with 3 labels: neg, neu, pos)." in search.log
    config = AutoConfig.from_pretrained(run / "model")
    assert (config.id2label, config.num_labels) == ({0: "LABEL_0", 1: "LABEL_1"}, 2)


def test_a_limit_that_is_missed_in_the_end_is_said_with_the_next_point(search: Search, tmp_path: Path) -> None:
    """Finished networks are a quarter slower than predicted."""
    folder = tmp_path / "run"
    assert search(folder, baselines=False, slower=1.25, max_latency="0.6") == 0, search.log
    row = next(iter(report(folder, "latency").values()))
    assert row["ratio"] == pytest.approx(1.25 * row["predicted"], rel=0.02)
    assert f"Measured, it takes {row['ratio']:.3f}" in search.log
    (said,) = (line for line in search.log.splitlines() if "over the limit of 0.6" in line)
    next_best = [row for row in trials(folder) if 1.25 * row["scores"]["latency"] <= 0.6]
    if next_best:
        best = min(next_best, key=loss_of)
        assert f"The next point is trial {best['trial']}" in said
        (command,) = re.findall(r"autobert (select .* --train)`", said)
        assert search.send(command.split()) == 0, search.log
    else:
        assert "search with --max-latency 0.4" in said


def test_the_papers_evolution_and_several_finalists(search: Search, tmp_path: Path) -> None:
    """Two of each limit are trained further, the best of them in the folder of the limit."""
    folder = tmp_path / "run"
    given = {"strategy": "evolution-paper", "finalists": 2, "baselines": False, "inner_step": 2}
    assert search(folder, **given) == 0, search.log
    picks = report(folder, "picks")["picks"]
    assert {*picks} == {"model", "model-rank-2", "model-0.3", "model-0.3-rank-2"}
    scores = {name: trials(folder)[number]["scores"] for name, number in picks.items()}
    for limit, name in ((0.6, "model"), (0.3, "model-0.3")):
        assert scores[name]["loss"] <= scores[f"{name}-rank-2"]["loss"]
        assert scores[f"{name}-rank-2"]["latency"] <= limit
    assert all((folder / name / "model.safetensors").exists() for name in picks)


def test_layers_that_differ_are_judged_by_a_task(search: Search, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = {"identical": False, "proxy_task": "builtin/topic", "proxy_rows": 64, "num_trials": 4, "baselines": False}
    assert search(folder, max_latency="0.8", **given) == 0, search.log
    for row in trials(folder):
        assert 0 <= row["scores"]["task_score"] == row["scores"]["builtin/topic"] <= 1
    several = [row["architecture"]["layers"] for row in trials(folder) if len(row["architecture"]["layers"]) > 1]
    assert any(layers[0] != layers[1] for layers in several)
    scores = [row["scores"]["task_score"] for row in trials(folder)]
    best = trials(folder)[scores.index(max(scores))]["architecture"]
    assert len(best["layers"]) == AutoModel.from_pretrained(folder / "model").config.num_hidden_layers


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_papers_predictor(search: Search, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = {"latency_predictor": "network", "baselines": False, "num_trials": 4, "max_latency": "0.8"}
    assert search(folder, **given) == 0, search.log
    found = report(folder, "predictor")
    assert found["error"] > 0
    assert "predictor" not in found
    network = NetworkPredictor.load(folder / "report" / "predictor.safetensors")
    for row in trials(folder):
        sizes = mean_sizes(Architecture.from_json(row["architecture"]))
        assert row["scores"]["latency"] == pytest.approx(network.predict_sizes([sizes])[0], rel=1e-5)


@pytest.mark.parametrize("strategy", ["fast", pytest.param("random", marks=pytest.mark.slow)])
def test_other_strategies(search: Search, tmp_path: Path, strategy: str) -> None:
    given = {"strategy": strategy, "baselines": False, "inner_step": 2, "num_trials": 4}
    assert search(tmp_path / "run", **given) == 0, search.log
    assert len({json.dumps(row["architecture"]) for row in trials(tmp_path / "run")}) == len(trials(tmp_path / "run"))


@pytest.mark.slow
def test_exhaustive_search_takes_the_fastest_first(search: Search, tmp_path: Path) -> None:
    given = {"width_step": 20, "inner_step": 40, "strategy": "exhaustive", "baselines": False, "max_latency": "0.3"}
    assert search(tmp_path / "run", **given) == 0, search.log
    times = [row["scores"]["latency"] for row in trials(tmp_path / "run")]
    assert times == sorted(times)


def test_without_a_teacher_masked_words_are_learned_from_scratch(search: Search, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    given = sizes | {"teacher": "", "vocab_size": 200, "max_latency": "0.5", "final_tokens": 400}
    assert search(tmp_path / "run", **given) == 0, search.log
    (training,) = trainings(tmp_path / "run")
    assert set(training["curves"]) == {"found", "default rule"}
    assert "depths.json" not in os.listdir(tmp_path / "run" / "report")


def test_a_limit_that_nothing_meets_is_refused_before_training(search: Search, tmp_path: Path) -> None:
    said = search.refused(tmp_path / "run", max_latency="0.5,0.01")
    assert "No network reaches 0.01 of the time of the teacher: this space's fastest is 0." in said
    assert not (tmp_path / "run" / "supernet").exists()


def test_a_budget_too_small_for_the_limits_is_refused_before_training(search: Search, tmp_path: Path) -> None:
    said = search.refused(tmp_path / "run", num_trials=7)
    assert "--num-trials 7 is too few for 2 latency limits" in said
    assert not (tmp_path / "run" / "supernet").exists()


def test_teachers_that_cannot_teach(search: Search, tiny_teacher: Path, tmp_path: Path) -> None:
    decoder = tmp_path / "decoder"
    GPT2LMHeadModel(GPT2Config(vocab_size=200, n_embd=8, n_layer=1, n_head=1)).save_pretrained(decoder)
    AutoTokenizer.from_pretrained(tiny_teacher).save_pretrained(decoder)
    assert "is a 'gpt2' model, no encoder" in search.refused(tmp_path / "a", teacher=str(decoder))
    assert "cannot be loaded" in search.refused(tmp_path / "b", teacher=str(tmp_path / "nothing"))
    assert "takes 64 tokens, --length is 65" in search.refused(tmp_path / "c", length=65, final_tokens=600)
    heads = {"start": "scratch", "hidden_size": 32, "num_attention_heads": 2}
    assert "students have 2 heads, the teacher 4" in search.refused(tmp_path / "d", **heads)


def test_a_relative_of_bert_lends_its_weights(search: Search, tiny_teacher: Path, tmp_path: Path) -> None:
    teacher, tokenizer = tmp_path / "roberta", AutoTokenizer.from_pretrained(tiny_teacher)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    special = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 66}
    RobertaModel(RobertaConfig(**sizes, **special), add_pooling_layer=False).save_pretrained(teacher)
    tokenizer.save_pretrained(teacher)
    folder = tmp_path / "run"
    assert search(folder, teacher=str(teacher), baselines=False, num_trials=4, max_latency="0.8") == 0, search.log
    assert len(report(folder, "depths")["3"]) == 3
    found = AutoModel.from_pretrained(folder / "model")
    assert found(**tokenizer("a dog", return_tensors="pt")).last_hidden_state.isfinite().all()


def test_another_tokenizer_than_the_teachers_is_refused(search: Search, tmp_path: Path) -> None:
    train_tokenizer(corpus(50, seed=3), 150, 64).save_pretrained(tmp_path / "tokenizer")
    said = search.refused(tmp_path / "run", tokenizer=str(tmp_path / "tokenizer"))
    assert "another vocabulary than that of the teacher" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_latency": "half"}, "max_latency is 'half': write 0.5"),
        ({"max_latency": "0.5,-1"}, "give shares above 0"),
        ({"max_latency": ""}, "max_latency is empty: write 0.5"),
        ({"window_low": 2.0}, "The window 2.0 to 1.0 is empty"),
        ({"latency_samples": 2}, "latency_samples is 2: give at least 5"),
        ({"strategy": "exhaustive", "width_step": 2, "inner_step": 1}, "more than the 20,000 that are listed"),
    ],
)
def test_settings_that_no_run_can_have(search: Search, tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    assert said in search.refused(tmp_path / "run", **settings)
