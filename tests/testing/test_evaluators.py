"""Every evaluator by the public suite, and that the suite notices what is wrong."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from autobert_hf import AutoBertConfig
from autobert_hf.lab.losses import Loss
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.paired_clock import PairedClock
from autobert_hf.lab.measuring.peak_memory import profiled_memory
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import named_tensors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals, arithmetic_scores
from autobert_hf.records.tensor_files import write_tensors
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators import (
    EVALUATORS,
    Biws,
    Evaluator,
    FunctionEvaluator,
    MeasuredCost,
    StandAlone,
    SupernetLoss,
)
from autobert_hf.searchers.evaluators.arithmetic import arithmetic_on
from autobert_hf.searchers.evaluators.evaluator import Report, Scores
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets import BranchedSupernet, SlicedSupernet
from autobert_hf.testing import check_evaluator

from .world import LOSS, LTS, TINY, World


WITH_SIZE = Goals((GOALS["loss"], GOALS["parameters"]))
SMALL = AutoBertZeroSpace(num_hidden_layers=2)


def fresh(make: Callable[[], Any], seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def biws(world: World, folder: Path) -> Biws:
    loss = world.loss("mlm")
    supernet = BranchedSupernet(SMALL, world.base, 0, loss.network)
    recipe = Recipe(2, 1e-3, warmup=0.1)
    evaluator = Biws(supernet, loss, world.text("packed"), recipe, world.team, folder)
    if not evaluator.begun():
        tensors = {f"model.{name}": tensor for name, tensor in named_tensors(supernet.module).items()}
        write_tensors(evaluator.round_file(0), tensors, tokens=0)
    return evaluator


def supernet_loss(world: World, folder: Path) -> SupernetLoss:
    loss = world.loss("mlm")
    supernet = SlicedSupernet(TINY, world.network(loss))
    held_out = HeldOut(loss, world.text("packed").held_out, world.team)
    return SupernetLoss(supernet, held_out, world.base, {"latency": lambda one: float(len(one.layers))})


def stand_alone(world: World, folder: Path) -> StandAlone:
    def loss_of(model: Any) -> Loss:
        return world.loss("mlm")

    def network(architecture: Architecture, seed: int) -> Any:
        return fresh(lambda: world.loss("mlm").network(architecture.to_config(world.base)), seed)

    return StandAlone(network, loss_of, world.text("packed"), Recipe(4), world.team)


def function(world: World, folder: Path) -> FunctionEvaluator:
    def score(architecture: Architecture, report: Report) -> Scores:
        for step in range(3):
            loss = 1 / (step + len(architecture.layers))
            if not report(step, {"loss": loss}):
                break
        return {"loss": loss}

    return FunctionEvaluator(score, ["loss"])


def measured_cost(world: World, folder: Path) -> MeasuredCost:
    base = AutoBertConfig(vocab_size=60, max_position_embeddings=16, hidden_size=8, num_attention_heads=2)
    workload = Workload(length=8)
    clock = PairedClock(lambda: untrained(LTS.largest().to_config(base)), workload, rounds=2)
    measures = {"latency": lambda model: clock(model).median, "memory": lambda model: profiled_memory(model, workload)}
    return MeasuredCost(base, arithmetic_on(base, ["decoder_parameters"]), measures)


CASES: dict[str, tuple[Callable[[World, Path], Evaluator], Any, Goals]] = {
    "biws": (biws, SMALL, WITH_SIZE),
    "function": (function, TINY, LOSS),
    "measured-cost": (measured_cost, LTS, Goals((GOALS["decoder_parameters"], GOALS["latency"], GOALS["memory"]))),
    "stand-alone": (stand_alone, TINY, LOSS),
    "supernet-loss": (supernet_loss, TINY, WITH_SIZE),
}


def test_no_evaluator_is_left_out() -> None:
    assert set(CASES) == set(EVALUATORS)


@pytest.mark.parametrize("name", CASES)
def test_evaluators(world: World, name: str) -> None:
    make, space, goals = CASES[name]
    check_evaluator(lambda folder: make(world, folder), space, goals)


class Broken(Evaluator):
    """Wrong in one way. Its weights are a file with a number, which counts the rounds that were ended."""

    def __init__(self, fault: str, folder: Path) -> None:
        self.fault = fault
        self.file = folder / "rounds"
        self.evaluated = 0
        self.value = 0

    def known(self, architecture: Architecture) -> Scores:
        scores = {"parameters": float(len(architecture.layers))}
        if self.fault == "known.. changes with what is evaluated":
            scores["parameters"] += self.evaluated
        return scores

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        self.evaluated += 1
        loss = 1.0 + len(architecture.layers) + self.value
        if self.fault == "another score when repeated":
            loss += self.evaluated
        scores = {"loss": loss}
        partial = {"accuracy" if self.fault == "a report without the goal" else "loss": 9.0}
        if not report(1, partial) and self.fault != "a report was answered with False":
            return {"loss": loss if self.fault == "the evaluation returns" else 9.0}, {}
        report(2, {"loss": 9.0})
        if self.fault == "both give parameters":
            scores["parameters"] = 3.0
        if self.fault == "no score for the goal":
            return {"accuracy": 0.5}, {}
        return scores | ({"noise": float("nan")} if self.fault == "noise is nan" else {}), {"seconds": 0.1}

    def weights(self) -> Any:
        if self.fault == "the version of the weights changes":
            return f"after {self.evaluated}"
        if self.fault == "leaves the weights":
            return f"ended {self.value}"
        return self.value if self.fault == "is no text" else "the only ones"

    def start_round(self, number: int) -> None:
        self.value = int(self.file.read_text()) if self.file.exists() else 0

    def end_round(self, number: int, born_parents: Sequence[Trial], digest: str) -> None:
        counts_twice = self.fault in ("counts twice", "leaves the weights")
        before = int(self.file.read_text()) if self.file.exists() else 0
        self.file.write_text(str(before + 1 if counts_twice else number + 1))


FAULTS = [
    "known.. changes with what is evaluated",
    "another score when repeated",
    "a report without the goal",
    "a report was answered with False",
    "the evaluation returns",
    "both give parameters",
    "no score for the goal",
    "noise is nan",
    "the version of the weights changes",
    "is no text",
    "leaves the weights",
    "counts twice",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_evaluator_is_noticed(fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_evaluator(lambda folder: Broken(fault, folder), TINY, WITH_SIZE)


def test_one_that_is_not_broken() -> None:
    check_evaluator(lambda folder: Broken("", folder), TINY, WITH_SIZE)


def test_one_that_measures_this_machine_may_find_other_times() -> None:
    class Exclusive(Broken):
        exclusive = True

    check_evaluator(lambda folder: Exclusive("another score when repeated", folder), TINY, WITH_SIZE)


def test_scores_that_are_known_for_nothing_are_the_configurations(world: World, tmp_path: Path) -> None:
    evaluator, largest = supernet_loss(world, tmp_path), TINY.largest()
    assert arithmetic_scores(largest.to_config(world.base)).items() <= evaluator.known(largest).items()
