"""Stand-alone training: what depends on the seed, and what is noted on the way."""

from dataclasses import replace
from random import Random

import pytest
import torch

from autobert_hf import AutoBertForMaskedLM
from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.searchers.evaluators.stand_alone import StandAlone


@pytest.fixture
def evaluator(base, loss, text, team) -> StandAlone:
    def fresh(architecture, seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return AutoBertForMaskedLM(architecture.to_config(base))

    return StandAlone(fresh, lambda model: loss, text, Recipe(9, 3e-3), team)


def go_on(step, scores) -> bool:
    return True


def test_a_score_depends_on_architecture_and_seed_alone(evaluator, space):
    one, other = (space.sample(Random(number)) for number in range(2))
    first = evaluator.evaluate(0, one, go_on)[0]
    different = [
        evaluator.evaluate(0, other, go_on)[0],
        replace(evaluator, seed=1).evaluate(0, one, go_on)[0],
    ]
    assert evaluator.evaluate(5, one, go_on)[0] == first
    assert first["loss"] not in {scores["loss"] for scores in different}


def test_the_loss_is_taken_on_the_way_without_changing_the_way(evaluator, space, monkeypatch):
    architecture, steps, reported = space.sample(Random(0)), [], {}

    def report(step, scores) -> bool:
        reported[step] = scores
        return True

    evaluator.on_step = lambda step, loss: steps.append(step)
    scores, cost = evaluator.evaluate(0, architecture, report)
    assert steps == [*range(1, 10)]
    assert cost["tokens"] == 9 * 8 * 24
    assert set(scores) == {"loss", *(f"loss at {step * 8 * 24}" for step in (1, 2, 4))}
    assert len(set(scores.values())) == 4
    assert reported == {step: {"loss": scores[f"loss at {step * 8 * 24}"]} for step in (1, 2, 4)}
    with monkeypatch.context() as patch:
        patch.setattr(StandAlone, "points", {})
        assert evaluator.evaluate(0, architecture, go_on)[0] == {"loss": scores["loss"]}


def test_a_training_that_is_ended_early_costs_less_and_has_the_loss_of_its_end(evaluator, space):
    architecture = space.sample(Random(0))
    whole = evaluator.evaluate(0, architecture, go_on)[0]
    scores, cost = evaluator.evaluate(0, architecture, lambda step, scores: step < 2)
    assert cost["tokens"] == 2 * 8 * 24
    assert scores["loss"] == scores[f"loss at {2 * 8 * 24}"] == whole[f"loss at {2 * 8 * 24}"]


def test_a_training_without_a_number_says_so(evaluator, space):
    evaluator.recipe = Recipe(9, 1e30)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        evaluator.evaluate(0, space.sample(Random(0)), go_on)
