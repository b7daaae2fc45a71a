"""What a tracker is told, once a step, also by a run that was killed; and that no tracker ends a run."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, get_available_trackers

from autobert_hf import search
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.trial import read_trials
from autobert_hf.searchers import tracking
from autobert_hf.searchers.evaluators.function import FunctionEvaluator
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.strategies import FixedList
from autobert_hf.searchers.tracking import Tracking

from ..conftest import new_model
from .conftest import options


def needs(name: str):
    missing = name not in map(str, get_available_trackers())
    return pytest.mark.skipif(missing, reason=f"pip install {name}, and an accelerate that knows it")


SMALL = {
    "cpu": True, "mixed_precision": "no", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
    "seed": 3, "intermediate_size": 24, "vocab_size": 300, "length": 24, "batch_size": 4, "population": 4,
    "parents": 2, "children": 2, "warmup_steps": 6, "candidate_steps": 1, "held_out_rows": 8, "final_tokens": 400,
    "num_trials": 5,
}  # fmt: skip


class Recorder(GeneralTracker):
    """A tracker that keeps what it is told, and fails where it is told to."""

    name = "recorder"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, fails: str = "") -> None:
        super().__init__()
        self.fails = fails
        self.calls: list[tuple] = []

    @property
    def tracker(self):
        return self

    def _call(self, name, *what):
        self.calls.append((name, *what))
        if name == self.fails:
            raise OSError(28, "No space left on device")

    def start(self):
        if self.fails == "start":  # accelerate 1.7 has no such call
            self._call("start")

    def store_init_configuration(self, values):
        self._call("config", values)

    def log(self, values, step=None, **more):
        self._call("log", values, step)

    def finish(self):
        self._call("finish")

    @property
    def logged(self):
        return [(next(iter(call[1])), call[2]) for call in self.calls if call[0] == "log"]


class Wandb(Recorder):
    """As far as its axes go."""

    name = "wandb"

    def define_metric(self, name, step_metric):
        self.calls.append(("axis", name, step_metric))


def told(tracker: GeneralTracker, path: Path, **config) -> Tracking:
    folder = str(path / "run" / "trackers")
    return Tracking(Accelerator(cpu=True, mixed_precision="no", log_with=tracker, project_dir=folder), config)


@pytest.fixture
def train(config, text, team, run):
    """A process that trains, six steps without a checkpoint on the way."""

    def train(tracking: Tracking, until: int = 6) -> None:
        model, loss = new_model(config), MaskedWords(config)
        recipe = Recipe(6, learning_rate=1e-3)
        trainer = Trainer(model, loss, lambda step, shard: [model], recipe, team)
        update = trainer.update

        def killed(batch):
            if trainer.step == until:
                raise KeyboardInterrupt
            return update(batch)

        trainer.update = killed
        Run(run.path, 0, team, tracking).train("supernet/weights", trainer, text.stream("test"))

    return train


def scores(architecture):
    return {"loss": 1 / architecture["layers"], "latency": architecture["width"] / 128}


def study(run: Run, trials: int) -> None:
    space = GridSpace(layers=[2, 6, 4], width=[64, 128])
    goals = Goals((GOALS["loss"], GOALS["latency"]))
    run.study(FixedList([*space.enumerate()]), FunctionEvaluator(scores, ["loss", "latency"]), goals, trials)


def test_what_is_told(train, run, team, tmp_path):
    tracker = Recorder()
    tracking = told(tracker, tmp_path, seed=3, trade_off=["flops", "parameters"], max_params=None)
    tracking.constant("word_frequency_floor", 3.9)
    train(tracking)
    study(Run(run.path, 0, team, tracking), 4)
    tracking.end()
    assert [call[0] for call in tracker.calls] == ["config", *["log"] * 11, "finish"]
    assert tracker.calls[0][1] == {
        "seed": 3, "trade_off": "flops, parameters", "max_params": None, "word_frequency_floor": 3.9
    }  # fmt: skip
    logs = [what for name, *what in tracker.calls if name == "log"]
    assert logs[0] == [{"constants/word_frequency_floor": 3.9}, 0]
    assert [step for _, step in logs[1:7]] == [1, 2, 3, 4, 5, 6]
    assert all([*values] == ["supernet/weights/loss"] for values, _ in logs[1:7])
    assert logs[7:] == [
        [{"search/loss": 1 / layers, "search/latency": latency, "search/best_loss": best}, number]
        for number, (layers, latency, best) in enumerate(
            [(2, 0.5, 1 / 2), (2, 1, 1 / 2), (6, 0.5, 1 / 6), (6, 1, 1 / 6)]
        )
    ]
    tracking.log("late", {"loss": 1.0}, 0)
    assert tracker.calls[-1] == ("finish",), "nothing after the end"


def test_a_run_that_goes_on_repeats_no_step(train, run, team, tmp_path):
    """Not those that it has to train again, nor the trials that it replays."""
    first, second, third = Recorder(), Recorder(), Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(told(first, tmp_path), until=4)
    train(told(second, tmp_path))
    study(Run(run.path, 0, team, told(second, tmp_path)), 2)
    study(Run(run.path, 0, team, told(third, tmp_path)), 5)
    assert first.logged == [("supernet/weights/loss", step) for step in (1, 2, 3, 4)]
    steps, trials = [("supernet/weights/loss", step) for step in (5, 6)], [("search/loss", trial) for trial in (0, 1)]
    assert second.logged == steps + trials
    assert third.logged == [("search/loss", step) for step in (2, 3, 4)]


@pytest.mark.parametrize(
    "fails", [*(["start"] if hasattr(GeneralTracker, "start") else []), "config", "log", "finish"]
)
def test_a_tracker_that_fails_is_warned_of_once_and_left_alone(train, run, team, tmp_path, fails):
    tracker = Recorder(fails)
    tracking = told(tracker, tmp_path, seed=0)
    accelerator = tracking.accelerator
    with pytest.warns(UserWarning) as warned:
        train(tracking)
        study(Run(run.path, 0, team, tracking), 4)
        tracking.end()
    said = [str(warning.message) for warning in warned if "tracker" in str(warning.message)]
    reason = "(OSError: [Errno 28] No space left on device)"
    assert said == [f"--report-to: the tracker has failed {reason}; the run goes on without it."]
    assert tracker.calls[-1][0] == fails
    assert accelerator.trackers == [], "nor does Accelerate call it at the end of the process"
    assert (run.path / "supernet" / "weights.safetensors").exists()
    assert len((run.path / "journal.jsonl").read_text().splitlines()) == 4


def test_a_record_that_cannot_be_read_or_written_ends_nothing(tmp_path):
    def begun(name):
        tracking = told(Recorder(), tmp_path / name)
        tracking.log("series", {"loss": 1.0}, 0)
        return tracking, tmp_path / name / "run" / "trackers" / "logged.json"

    _, file = begun("read")
    file.write_text("{")
    with pytest.warns(UserWarning, match="the tracker has failed .JSONDecodeError"):
        told(Recorder(), tmp_path / "read").log("series", {"loss": 1.0}, 1)
    tracking, file = begun("written")
    file.unlink()
    file.mkdir()
    with pytest.warns(UserWarning, match="the tracker has failed .IsADirectoryError"):
        tracking.log("series", {"loss": 1.0}, 1)


def test_other_processes_and_runs_without_a_tracker_say_nothing(tmp_path):
    other = SimpleNamespace(is_main_process=False, log_with=["recorder"], project_dir=str(tmp_path / "other"))
    for quiet in (Tracking(), Tracking(other), told(None, tmp_path)):
        quiet.constant("floor", 1.0)
        quiet.log("series", {"loss": 1.0}, 0)
        quiet.end()
    assert [*tmp_path.iterdir()] == []


def test_each_series_has_its_own_axis_in_wandb(tmp_path):
    """Which counts its steps on and on: a log whose step is smaller than the last one is lost there."""
    tracker = Wandb()
    tracking = told(tracker, tmp_path)
    tracking.log("supernet/weights", {"loss": 2.0}, 7)
    tracking.log("supernet/weights", {"loss": 1.0}, 8)
    tracking.log("search", {"loss": 3.0}, 0)
    assert tracker.calls[1:] == [
        ("axis", "supernet/weights/*", "supernet/weights/step"),
        ("log", {"supernet/weights/loss": 2.0, "supernet/weights/step": 7}, None),
        ("log", {"supernet/weights/loss": 1.0, "supernet/weights/step": 8}, None),
        ("axis", "search/*", "search/step"),
        ("log", {"search/loss": 3.0, "search/step": 0}, None),
    ]


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_a_tracker_that_is_not_installed_is_refused_at_once(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=f"--report-to {name} needs a package .*`pip install {name}`"):
        search("autobert-zero", output_dir=tmp_path / "run", report_to=name, **SMALL)
    assert not (tmp_path / "run").exists()


def test_an_accelerate_that_does_not_know_the_tracker(monkeypatch):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    monkeypatch.setattr(tracking, "find_spec", lambda package: object())
    with pytest.raises(ValueError, match="`pip install accelerate --upgrade`"):
        tracking.check_installed("trackio")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All that the event files hold, by tag, in the order of the files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*"), key=lambda file: file.stat().st_mtime_ns):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, float(make_ndarray(value.tensor))))
    return found


@needs("tensorboard")
def test_tensorboard_shows_a_killed_run_as_one_that_nobody_disturbed(runner, tmp_path):
    text = {"train_file": str(runner.text(120)), "report_to": "tensorboard"}
    given = options({name: value for name, value in SMALL.items() if name != "cpu"} | text)

    def run(folder, **kill):
        return runner(["search", "--cpu", *given, "--output-dir", str(folder)], **kill)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(whole) == 0, runner.log
    assert run(killed, kill={"name": "step", "nth": 4}) == -9
    assert run(killed, kill={"name": "line", "nth": 3}) == -9
    assert run(killed) == 0, runner.log
    first, second = (scalars(folder / "trackers" / "autobert-hf") for folder in (whole, killed))
    assert second == first
    best = json.loads((whole / "report" / "picks.json").read_text())["picks"]["model"]
    assert {tag: len(points) for tag, points in first.items()} == {
        "constants/word_frequency_floor": 1,
        "supernet/round-0000/loss": 6,
        **{f"search/{name}": 5 for name in ("loss", "best_loss", "parameters", "flops")},
        **{f"final/{name}-{best:06d}/{kind}": 4 for name in ("found", "bert") for kind in ("loss", "held_out")},
    }
    trials = read_trials(whole / "journal.jsonl")
    assert [value for _, value in first["search/loss"]] == pytest.approx([one.scores["loss"] for one in trials])
    hparams = [(folder / "trackers").rglob("hparams.yml") for folder in (whole, killed)]
    assert [len([*files]) for files in hparams] == [1, 1]


LIVES = """
import json, sys
from accelerate import Accelerator
from autobert_hf.searchers.tracking import Tracking
from autobert_hf.records.journal import read_journal

name, folder = sys.argv[1:]
for life in (0, 1):
    accelerator = Accelerator(cpu=True, mixed_precision="no", log_with=name, project_dir=folder + "/trackers")
    tracking = Tracking(accelerator, {"seed": 3})
    tracking.constant("word_frequency_floor", 3.9)
    for step in range(5 + 3 * life):
        tracking.log("supernet/weights", {"loss": 5.0 - step}, step + 1)
    tracking.log("search", {"best_loss": 1.0}, life)
    assert tracking.accelerator is not None, "it has failed"
    tracking.end()
"""


def two_lives(tracker: str, folder: Path, **environment) -> None:
    folder.mkdir()
    command = [sys.executable, "-c", LIVES, tracker, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=os.environ | environment)
    assert done.returncode == 0, done.stderr


@needs("trackio")
def test_trackio_goes_on_in_one_run(tmp_path):
    two_lives("trackio", tmp_path / "run", TRACKIO_DIR=str(tmp_path / "trackio"))
    with sqlite3.connect(tmp_path / "trackio" / "autobert-hf.db") as data:
        rows = data.execute("select run_name, step, metrics from metrics order by id").fetchall()
        configs = [json.loads(config) for (config,) in data.execute("select config from configs")]
    name = json.loads((tmp_path / "run" / "trackers" / "logged.json").read_text())["name"]
    assert {row[0] for row in rows} == {name}
    found = sorted((step, *json.loads(metrics).items()) for _, step, metrics in rows)
    losses = [(step, ("supernet/weights/loss", 6.0 - step)) for step in range(1, 9)]
    best = [(step, ("search/best_loss", 1.0)) for step in (0, 1)]
    assert found == sorted([(0, ("constants/word_frequency_floor", 3.9)), *best, *losses])
    assert [(config["seed"], config["word_frequency_floor"]) for config in configs] == [(3, 3.9)]


@needs("wandb")
def test_wandb_goes_on_in_one_run(tmp_path):
    two_lives("wandb", tmp_path / "run", WANDB_MODE="offline")
    name = json.loads((tmp_path / "run" / "trackers" / "logged.json").read_text())["name"]
    files = sorted((tmp_path / "run" / "trackers" / "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb"))
    assert len(files) in (1, 2)  # two that begin within one second share a folder
    assert all(b"supernet/weights/loss" in file.read_bytes() for file in files)
