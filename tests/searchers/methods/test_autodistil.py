"""AutoDistil as a command: a teacher and limits in, the best student of several supernets out."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

from autobert_hf import AutoBertConfig, load_study
from autobert_hf import search as search_by_library
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits
from autobert_hf.records.journal import read_journal
from autobert_hf.records.json_files import read_record
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace, OutsideError
from autobert_hf.searchers.strategies.exhaustive import all_within

from ..conftest import Runner, options


ROOT = Path(__file__).parents[3]
SMALL = {"length": 24, "batch_size": 8, "held_out_rows": 16, "supernet_steps": 3, "mixed_precision": "no", "boxes": 2}
SMALL |= {"num_trials": 8, "latency_samples": 5, "latency_length": 16, "final_tokens": 400}


class Search:
    def __init__(self, runner: Runner, teacher: Path) -> None:
        self.runner, self.teacher = runner, teacher

    def __call__(self, folder: Path, kill: dict[str, Any] | None = None, **settings: Any) -> int:
        """The exit code."""
        request = {"flops_clock": True} | ({"kill": kill} if kill else {})
        return self.runner(["search", "--cpu", *self.options(folder, settings)], **request)

    def options(self, folder: Path, settings: dict[str, Any]) -> list[str]:
        text = {"method": "autodistil", "teacher": self.teacher, "train_file": self.runner.text(120)}
        return options({"output_dir": folder} | SMALL | text | settings)

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


LIMITED = {"max_flops": 6e6, "max_params": 30_000, "max_latency": 0.9}


@pytest.fixture(scope="module")
def finished(search: Search, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert search(folder, **LIMITED) == 0, search.log
    return folder


def trials(folder: Path) -> list[dict[str, Any]]:
    records = read_journal(folder / "journal.jsonl")
    for record in records:
        record["cost"] = {}
    return records


def test_the_best_student_within_all_limits_becomes_the_model(finished: Path) -> None:
    study = load_study(finished)
    assert len(study.trials) == 8 and all(trial.ok for trial in study.trials) and study.complete
    for trial in study.trials:
        assert trial.scores["flops"] <= 6e6 and trial.scores["parameters"] <= 30_000
        assert trial.scores["latency"] <= 0.9
    best = min(study.trials, key=lambda trial: trial.scores["loss"])
    assert {name: trial.id for name, trial in study.picks().items()} == {"model": best.id}
    model = AutoModel.from_pretrained(finished / "model")
    assert model.config.hidden_size == best.architecture["hidden_size"]
    assert (finished / "model" / "modules.json").exists(), "sentence-transformers can load it"
    measured = read_record(finished / "report" / "latency.json")
    assert measured[f"trial {best.id}"]["ratio"] == pytest.approx(best.scores["latency"], rel=0.1)


def test_each_supernet_serves_every_student_of_its_box(finished: Path) -> None:
    """By explicit sizes, and by the names of the front of its own students."""
    study = load_study(finished)
    with study.opened() as method:
        name, architecture = method.joined.name_of(study.best.architecture), study.best.architecture
        assert {"model-box-1", "model-box-2"} <= {path.name for path in (finished / "supernet").iterdir()}
        sizes = dict(architecture.settings) | {"num_hidden_layers": len(architecture.layers)}
    folder = finished / "supernet" / f"model-{name}"
    served, model = (
        AutoModel.from_pretrained(folder, architecture=sizes),
        AutoModel.from_pretrained(finished / "model"),
    )
    ours, theirs = served.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)
    names = [point["name"] for point in AutoConfig.from_pretrained(folder).supernet["front"]]
    assert names and all(name.endswith("x") for name in names)


def test_the_model_is_taken_out_as_it_was_scored(finished: Path) -> None:
    trained = sorted(path.stem for path in (finished / "supernet").glob("*.safetensors"))
    assert trained == ["box-1", "box-2"]
    assert not (finished / "final").exists() and not (finished / "report" / "baselines.json").exists()
    study = load_study(finished)
    scored = study.model(study.best, train=False)
    for name, tensor in AutoModel.from_pretrained(finished / "model", add_pooling_layer=False).state_dict().items():
        assert torch.equal(tensor, scored.state_dict()[name])


def test_an_architecture_outside_the_space_is_named_with_the_nearest_inside(finished: Path) -> None:
    study = load_study(finished)
    settings = dict(study.best.architecture.settings) | {"hidden_size": 47}
    outside = Architecture(study.best.architecture.layers, tuple(sorted(settings.items())))
    other = replace(study.best, proposal=replace(study.best.proposal, architecture=outside))
    with pytest.raises(OutsideError, match="is in none of the 2 boxes of this space; the nearest inside has"):
        study.model(other, train=False)


def test_boxes_without_a_student_within_the_limits_are_not_trained(search: Search, tmp_path: Path) -> None:
    assert search(tmp_path / "run", max_params=9_000, num_trials=3) == 0, search.log
    trained = {path.name for path in (tmp_path / "run" / "supernet").glob("*.safetensors")}
    assert trained == {"box-1.safetensors"}
    with load_study(tmp_path / "run").opened() as method:
        assert len(method.space.boxes) == 2
        method.open_evaluator(tmp_path)
        assert len(method.space.boxes) == 1 and [*method.supernets] == ["box-1"], "what tools may draw from"


@pytest.fixture
def numbered() -> tuple[AutoDistilSpace, dict[Architecture, dict[str, float]]]:
    """A space and made-up scores: the later an architecture is listed, the larger it is and the fewer its FLOPs."""
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 192}
    space = AutoDistilSpace.of(3, AutoBertConfig(**sizes))
    scores = {at: {"parameters": float(number), "flops": 1e3 - number} for number, at in enumerate(space.enumerate())}
    return space, scores


def test_all_students_within_the_limits_are_listed_in_random_order(numbered) -> None:
    space, known = numbered
    limits = [Limits({"parameters": 20.0, "flops": 990.0})]
    within = all_within(space, known.__getitem__, limits, 0)
    assert {known[one]["parameters"] for one in within} == {10.0 + step for step in range(11)} and len(within) == 11
    assert within == all_within(space, known.__getitem__, limits, 0) != all_within(space, known.__getitem__, limits, 1)
    assert within != sorted(within, key=lambda one: known[one]["parameters"])


def test_several_limits_take_turns_so_that_a_sample_has_students_of_each(numbered) -> None:
    space, known = numbered
    loose, tight = Limits({"parameters": 200.0}), Limits({"parameters": 4.0})
    within = all_within(space, known.__getitem__, [loose, tight], 0)
    assert len(within) == len(set(within)) == 201
    assert sum(known[one]["parameters"] <= 4.0 for one in within[:10]) == 5


def test_limits_that_nobody_meets_together_are_refused(numbered) -> None:
    """Each alone can be met."""
    space, known = numbered
    limits = [Limits(), Limits({"parameters": 5.0, "flops": 990.0})]
    with pytest.raises(LimitError, match=r"keeps within all limits; the smallest have 0 parameters \(limit 5\)"):
        all_within(space, known.__getitem__, limits, 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_flops": 10}, "keeps within the limits; the smallest of them have"),
        ({"max_latency": 0.01}, "No network reaches 0.01 of the time of the teacher"),
        ({"max_latency": "nan"}, "max_latency is nan: give shares above 0"),
        ({"boxes": 13}, "boxes is 13: give 1 to 12"),
        ({"loss": "paper"}, "invalid choice: 'paper'"),
        ({"window_low": 0.5}, "unknown arguments: --window-low"),  # all students are scored: no window
        (
            {"start": "scratch", "hidden_size": 8, "num_attention_heads": 4, "boxes": 1},
            "2 features cannot be split into 4 relation heads",
        ),
    ],
)
def test_settings_that_no_run_can_have(search: Search, tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    assert said in search.refused(tmp_path / "run", **settings)
    assert not (tmp_path / "run" / "supernet").exists() and "step/s" not in search.log, "before any training"


@pytest.mark.parametrize(
    ("given", "over_networks", "number"),
    [({}, "sum", 4), ({"gradients": "mean", "policy": "uniform", "subnetworks": 3}, "mean", 3)],
)
def test_the_settings_reach_the_training(
    tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict, over_networks: str, number: int
) -> None:
    made: list[Trainer] = []

    def train(run: Run, name: str, trainer: Trainer, batches: object) -> None:
        made.append(trainer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "train", train)
    (tmp_path / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    places = {"teacher": tiny_teacher, "train_file": tmp_path / "text.txt", "output_dir": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        search_by_library("autodistil", cpu=True, **places, **SMALL, **given)
    (trainer,) = made
    assert (trainer.recipe.over_networks, trainer.recipe.steps) == (over_networks, 3)
    cuts = [network.cut for network in trainer.networks(0, 0)]
    assert len(cuts) == number
    if not given:
        assert [len(cut.layers) for cut in cuts[:2]] == [1, 3], "the smallest and the largest first"


@pytest.mark.parametrize("loss", ["mlm", "mlm+relations"])
def test_the_study_of_losses(search: Search, tmp_path: Path, loss: str) -> None:
    """Masked words, alone or with relations, from the teacher's weights."""
    given = {"num_trials": 2, "order_by_use": True, "gradients": "mean", "policy": "uniform"}
    assert search(tmp_path / "run", loss=loss, **given) == 0, search.log
    model, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "run" / "model"), tmp_path / "run" / "report"
    assert model.config.architectures == ["AutoBertForMaskedLM"]
    (goal,) = read_record(report / "goals.json")["goals"]
    assert (goal["floor"] is None) == (loss == "mlm+relations")


def test_with_a_proxy_task_each_box_gives_its_best(search: Search, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert search(folder, proxy_task="builtin/topic", proxy_rows=32, num_trials=6, boxes=3) == 0, search.log
    study = load_study(folder)
    widths = {name: AutoModel.from_pretrained(folder / name).config.hidden_size for name in study.picks()}
    scores = [trial.scores["task_score"] for trial in study.picks().values()]
    assert scores == sorted(scores, reverse=True) and len(set(widths.values())) == len(widths) > 1
    assert all(name == "model" or name.startswith("model-box-") for name in widths)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_ends_as_an_undisturbed_one(search: Search, finished: Path, tmp_path: Path) -> None:
    """Between the two trainings, in the second one, at its end, and in the search."""
    for name, nth, half in [("save box-1", 0, True), ("step", 1, False), ("save box-2", 0, True), ("line", 5, True)]:
        code = search(tmp_path / "run", kill={"name": name, "nth": nth, "half": half}, **LIMITED)
        assert code == -9, f"not killed at {name}: {search.log}"
    assert search(tmp_path / "run", **LIMITED) == 0, search.log
    assert trials(tmp_path / "run") == trials(finished)
    for path in finished.rglob("*.safetensors"):
        ours, theirs = load_file(tmp_path / "run" / path.relative_to(finished)), load_file(path)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), path.name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_make_the_trials_of_one(search: Search, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    launch(search, one, ["--cpu", "--num_machines=1", "--num_processes=1"])
    prepared = {"run.json", "local.json", "text"}
    shutil.copytree(one, two, ignore=lambda path, names: {n for n in names if path == str(one)} - prepared)
    launch(search, two, ["--config_file", str(ROOT / "examples/cpu2.yaml")])
    assert [row["architecture"] for row in trials(two)] == [row["architecture"] for row in trials(one)]
    for ours, theirs in zip(trials(two), trials(one), strict=True):
        assert ours["scores"] == pytest.approx(theirs["scores"], rel=1e-5)


def launch(search: Search, folder: Path, how: list[str]) -> None:
    """As `search`, by Accelerate."""
    command = [sys.executable, "-m", "accelerate.commands.launch", *how, "--main_process_port=0", "-m", "autobert_hf"]
    command += ["search", "--cpu", *search.options(folder, {})]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
