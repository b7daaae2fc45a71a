"""Every method by the public suite, and that the suite notices what is wrong."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.measuring import final_latency, latency_samples
from autobert_hf.lab.measuring.paired_clock import PairedClock
from autobert_hf.lab.measuring.paired_times import Ratio
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.records.goals import GOALS, Goals, Limits
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers import measured_front
from autobert_hf.searchers.evaluators import FunctionEvaluator, SupernetLoss
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.autobert_zero import AutoBertZeroSettings
from autobert_hf.searchers.methods.autodistil import AutoDistilSettings
from autobert_hf.searchers.methods.autotinybert import AutoTinyBertSettings
from autobert_hf.searchers.methods.lts import LtsSettings
from autobert_hf.searchers.methods.magic import ChainSettings
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import SearchSettings
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.supernets import SlicedSupernet
from autobert_hf.testing import check_method

from .world import LOSS, World


COMMON = {"batch_size": 8, "held_out_rows": 16, "shards": 2, "mixed_precision": "no", "cpu": True}


def zero(world: World, folder: Path) -> AutoBertZeroSettings:
    sizes = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    budget = {"num_trials": 4, "population": 2, "parents": 1, "children": 1, "warmup_steps": 3, "candidate_steps": 1}
    text = {"train_file": [str(world.file)], "vocab_size": 200, "length": 16, "final_tokens": 400}
    return AutoBertZeroSettings(str(folder), "autobert-zero", **sizes, **budget, **text, **COMMON)


def tiny(world: World, folder: Path) -> AutoTinyBertSettings:
    text = {"train_file": [str(world.file)], "teacher": str(world.teacher_folder), "length": 24, "final_tokens": 300}
    budget = {"num_trials": 8, "population": 2, "supernet_steps": 3, "latency_samples": 5, "latency_length": 16}
    steps = {"width_step": 8, "inner_step": 8, "max_latency": "0.9,0.7"}
    return AutoTinyBertSettings(str(folder), "autotinybert", **text, **budget, **steps, **COMMON)


def magic(world: World, folder: Path) -> ChainSettings:
    sizes = {"num_hidden_layers": 4, "hidden_size": 16, "num_attention_heads": 2}
    budget = {"num_trials": 4, "population": 2, "parents": 1, "children": 1, "supernet_steps": 12, "anchor_every": 3}
    text = {"train_file": [str(world.file)], "vocab_size": 200, "length": 16, "final_tokens": 400}
    return ChainSettings(str(folder), "magic", **sizes, **budget, **text, **COMMON)


def magic_shrinking(world: World, folder: Path) -> ChainSettings:
    given = {"strategy": "shrinking", "candidates": 8, "remaining": 2, "shrink_batches": 1}
    return replace(magic(world, folder), **given)


def distil(world: World, folder: Path) -> AutoDistilSettings:
    text = {"train_file": [str(world.file)], "teacher": str(world.teacher_folder), "length": 24, "final_tokens": 300}
    budget = {"num_trials": 6, "supernet_steps": 2, "latency_samples": 5, "latency_length": 16, "boxes": 2}
    ends = {"max_latency": "0.9,0.7", "max_params": 30_000.0, "final_training": "continue"}
    return AutoDistilSettings(str(folder), "autodistil", **text, **budget, **ends, **COMMON)


def lts(world: World, folder: Path) -> LtsSettings:
    grids = {"depths": ["1", "2", "3"], "widths": ["8", "16"], "inner_sizes": ["32", "40", "48"], "heads": ["2"]}
    budget = {"num_trials": 14, "population": 6, "parents": 2, "children": 2, "points": 4}
    sizes = {"vocab_size": 50, "length": 32, "latency_length": 16}
    return LtsSettings(str(folder), "lts", **grids, **budget, **sizes, mixed_precision="no", cpu=True)


def lts_predicted(world: World, folder: Path) -> LtsSettings:
    return replace(lts(world, folder), latency_predictor="linear", latency_samples=5, max_latency=0.8, proxy="synflow")


CASES: dict[str, Callable[[World, Path], SearchSettings]] = {
    "autobert-zero": zero,
    "autotinybert": tiny,
    "magic": magic,
    "magic, shrinking": magic_shrinking,
    "autodistil": distil,
    "lts": lts,
    "lts, predicted": lts_predicted,
}


def count_work(models: Mapping[str, Any], *rest: Any, **options: Any) -> dict[str, Ratio]:
    """A clock that tells the same every time, in units of the teacher."""
    times = {
        name: 0.05 + count_flops(model.config, 16) / 2e6 if isinstance(model.config, AutoBertConfig) else 1.0
        for name, model in models.items()
    }
    return {name: Ratio(time, time, time, time, time, False, 0.0, 6) for name, time in times.items()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (latency_samples, final_latency):
        monkeypatch.setattr(module, "measure_latency", count_work)
    monkeypatch.setattr(PairedClock, "__call__", lambda clock, model: count_work({"network": model})["network"])
    monkeypatch.setattr(
        measured_front, "process_memory", lambda configs, workload: [count_parameters(c) / 1e6 for c in configs]
    )


def test_no_method_is_left_out() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(METHODS)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("name", CASES)
def test_methods(world: World, name: str) -> None:
    check_method(METHODS[name.partition(",")[0]], lambda folder: CASES[name](world, folder))


class Toy(Method):
    """
    Scores with a function, learns for two steps from where the trial's own network begins; wrong in one way, if that
    is asked for.
    """

    Settings = SearchSettings
    world: World
    fault = ""
    calls = count()

    def __init__(self, run: Run, settings: SearchSettings) -> None:
        self.run, self.settings, self.goals = run, settings, LOSS
        self.text = self.world.text("packed")
        self.base = self.world.base
        self.space = AutoTinyBertSpace.within(self.base, width_step=4, inner_step=8)
        self.evaluator = FunctionEvaluator(self.score, ["loss"])

    def score(self, architecture: Any) -> dict[str, float]:
        trained = next(self.calls) if self.fault == "has the loss" else 0
        return {"loss": 1.0 + architecture["hidden_size"] / 7 + trained}

    def study(self) -> Study:
        journal = self.run.path / "journal.jsonl"
        if self.fault == "has changed existing lines of" and journal.exists():
            journal.unlink()
        seed = random.randrange(999) if self.fault == "asks for other trials" else self.settings.seed
        strategy = RandomSearch(self.space, self.goals, seed, parents=2, children=2)
        found = self.run.study(strategy, self.evaluator, self.goals, self.settings.num_trials)
        return Study("", self.goals, []) if self.fault == "the study has no trials" else found

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        picks = super().picks(study, limits)
        if self.fault == "is no trial of the study":
            picks["model"] = Trial(9, Proposal(self.space.largest()), 0)
        return picks

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        model = self.start(trial)
        if train is False:
            return model.train(self.fault == "returned in training mode")
        loss = self.world.loss("mlm")
        if self.fault != "has another":
            self.run.final(trial, {"found": model}, lambda found: loss, Recipe(2, shards=2), self.world.text("packed"))
        return model

    def start(self, trial: Trial) -> PreTrainedModel:
        config = trial.architecture.to_config(self.base)
        if self.fault == "has another":
            return AutoBertModel(config).eval()
        return self.run.fresh(lambda: self.world.loss("mlm").network(config), "start").eval()

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        if self.fault == "loads with another":
            model = AutoBertModel(model.config)
        super().save(model, folder)


class Judging(Toy):
    """One whose scores are held-out losses of its own networks."""

    loss: Loss

    def __init__(self, run: Run, settings: SearchSettings) -> None:
        super().__init__(run, settings)
        self.loss = self.world.loss("mlm")
        self.supernet = SlicedSupernet(self.space, self.world.network(self.loss))
        self.evaluator = SupernetLoss(self.supernet, HeldOut(self.loss, self.text.held_out, run.team), self.base)

    def start(self, trial: Trial) -> PreTrainedModel:
        found = self.supernet.extract(trial.architecture)
        if self.fault == "was judged with":
            with torch.no_grad():
                found.get_input_embeddings().weight.mul_(2.0)
        return found


def toy(world: World, kind: type[Toy], fault: str = "") -> None:
    broken = type("Broken", (kind,), {"world": world, "fault": fault, "calls": count()})
    settings = {"num_trials": 4, "shards": 2, "mixed_precision": "no", "cpu": True}
    check_method(broken, lambda folder: SearchSettings(str(folder), "toy", **settings))


@pytest.mark.parametrize("kind", [Toy, Judging])
def test_methods_of_ones_own(world: World, kind: type[Toy]) -> None:
    toy(world, kind)


FAULTS = [
    "the study has no trials",
    "is no trial of the study",
    "asks for other trials",
    "has the loss",
    "has another",
    "loads with another",
    "returned in training mode",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_method_is_noticed(world: World, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        toy(world, Toy, fault)


def test_a_method_that_hands_out_other_networks_than_it_judged_is_noticed(world: World) -> None:
    with pytest.raises(AssertionError, match="was judged with"):
        toy(world, Judging, "was judged with")


class Timed(Toy):
    """One that measures times, which are never twice the same."""

    def __init__(self, run: Run, settings: SearchSettings) -> None:
        super().__init__(run, settings)
        self.goals = Goals((GOALS["loss"], GOALS["latency"]))
        self.evaluator = FunctionEvaluator(self.timed, ["loss", "latency"])

    def timed(self, architecture: Any) -> dict[str, float]:
        return self.score(architecture) | {"latency": random.random()}


def test_a_method_may_pick_nothing(world: World) -> None:
    class Reserved(Judging):
        def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
            return {}

    toy(world, Reserved)
    with pytest.raises(AssertionError, match="was judged with"):
        toy(world, Reserved, "was judged with")


def test_measured_scores_may_differ_between_two_runs(world: World) -> None:
    toy(world, Timed)


def test_what_was_measured_once_must_not_be_measured_again(world: World) -> None:
    with pytest.raises(AssertionError, match="has changed existing lines of"):
        toy(world, Timed, "has changed existing lines of")
