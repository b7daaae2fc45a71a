"""Stand-alone training: what depends on the seed, and what is noted on the way."""

from random import Random

import pytest
from accelerate import Accelerator

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.trainer import Recipe, TrainingError
from autobert_hf.searchers.evaluators.stand_alone import StandAlone
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace


@pytest.fixture
def evaluator(base: AutoBertConfig, batches: MaskedBatches) -> StandAlone:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    return StandAlone(base, batches, batches.held_out(16), Recipe(9, 3e-3), accelerator)


def test_a_score_depends_on_architecture_and_seed_alone(evaluator: StandAlone, space: AutoBertZeroSpace) -> None:
    one, other = (space.sample(Random(number)) for number in range(2))
    first = evaluator.evaluate(one, 0)[0]
    different = [evaluator.evaluate(other, 0)[0], evaluator.evaluate(one, 1)[0]]
    assert evaluator.evaluate(one, 0)[0] == first
    assert first["loss"] not in {scores["loss"] for scores in different}


def test_the_loss_is_taken_on_the_way_without_changing_the_way(
    evaluator: StandAlone, space: AutoBertZeroSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, steps = space.sample(Random(0)), []
    scores, cost = evaluator.evaluate(architecture, 0, lambda: steps.append(1))
    assert len(steps) == 9
    assert cost["tokens"] == 9 * 8 * 24
    assert set(scores) == {"loss", *(f"loss at {step * 8 * 24}" for step in (1, 2, 4))}
    assert len(set(scores.values())) == 4
    with monkeypatch.context() as patch:
        patch.setattr(StandAlone, "points", {})
        assert evaluator.evaluate(architecture, 0)[0] == {"loss": scores["loss"]}


def test_a_training_without_a_number_says_so(evaluator: StandAlone, space: AutoBertZeroSpace) -> None:
    evaluator.recipe = Recipe(9, 1e30)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        evaluator.evaluate(space.sample(Random(0)), 0)
