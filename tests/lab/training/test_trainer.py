"""Training goes on bit for bit where it stopped, and ends with a sentence where the loss is no number."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch.nn import functional

from autobert_hf import AutoBertForMaskedLM
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.trainer import Batch, Recipe, Trainer, TrainingError, evaluate, memory_errors
from autobert_hf.records.files import read_tensors


RECIPE = Recipe(8, learning_rate=5e-3, warmup=0.2, decay=0.5)


@pytest.fixture
def batch(batches: MaskedBatches) -> Callable[[int], Batch]:
    return lambda step: batches.batch("test", step=step)


def weights(model: AutoBertForMaskedLM) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(100, learning_rate=2.0, warmup=0.1, decay=0.3)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10:71] == [2.0] * 61
    assert rates[71:] == pytest.approx([2.0 * (100 - step) / 30 for step in range(71, 100)])
    assert Recipe(3, 1.0).rate(0) == Recipe(3, 1.0, warmup=0.0).rate(0) == Recipe(3, 1.0).rate(2) == 1.0


def test_the_rate_is_what_the_optimizer_gets(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], accelerator: Accelerator
) -> None:
    trainer = Trainer(model, RECIPE, accelerator)
    seen = []
    trainer.run(
        batch, on_step=lambda step, loss: seen.append([group["lr"] for group in trainer.optimizer.param_groups])
    )
    assert seen == [[RECIPE.rate(step)] * 2 for step in range(8)]


def test_training_learns(
    model: AutoBertForMaskedLM, batches: MaskedBatches, batch: Callable[[int], Batch], accelerator: Accelerator
) -> None:
    held_out = batches.held_out(32)
    before = evaluate(model, held_out, accelerator)
    Trainer(model, Recipe(150, 1e-2), accelerator).run(batch)
    assert before == pytest.approx(math.log(60), abs=0.2)
    assert evaluate(model, held_out, accelerator) < before - 0.5


@pytest.mark.parametrize("stop", [1, 5])
def test_a_checkpoint_continues_bit_for_bit(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    config: object,
    batch: Callable[[int], Batch],
    accelerator: Accelerator,
    tmp_path: Path,
    stop: int,
) -> None:
    model.autobert.embeddings.requires_grad_(False)  # nothing trains it: a parameter without moments
    start = weights(model)
    whole = Trainer(model, RECIPE, accelerator)
    whole.run(batch)
    whole.save(tmp_path / "whole")
    assert sum(not torch.equal(p, start[name]) for name, p in model.named_parameters()) > 20

    model.load_state_dict(start, strict=False)
    first = Trainer(model, RECIPE, accelerator)
    first.run(batch, until=stop)
    first.save(tmp_path / "half", curve="[1]")

    other_model.autobert.embeddings.requires_grad_(False)
    second = Trainer(other_model, RECIPE, accelerator)
    assert second.load(tmp_path / "half") == {"step": str(stop), "steps": "8", "curve": "[1]"}
    second.run(batch)
    second.save(tmp_path / "resumed")
    (ours, our_step), (theirs, their_step) = (read_tensors(tmp_path / name) for name in ("resumed", "whole"))
    assert our_step == their_step == {"step": "8", "steps": "8"}
    assert any(name.startswith("optimizer.") for name in ours)
    assert_equal(ours, theirs)


def test_moments_matter(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    batch: Callable[[int], Batch],
    accelerator: Accelerator,
) -> None:
    """The test above would fail if a checkpoint held the weights alone."""
    trainer = Trainer(model, RECIPE, accelerator)
    trainer.run(batch, until=5)
    other_model.load_state_dict(model.state_dict())
    without = Trainer(other_model, RECIPE, accelerator)
    without.step = 5
    trainer.run(batch)
    without.run(batch)
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), other_model.parameters(), strict=True))


def test_what_no_batch_uses_stays_as_it_is(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], accelerator: Accelerator
) -> None:
    """No weight decay where there is no gradient: the idle branches of a supernet must not shrink."""
    idle = torch.nn.Parameter(torch.ones(3, 3))
    model.register_parameter("idle", idle)
    Trainer(model, RECIPE, accelerator).run(batch)
    assert idle.eq(1).all()


def test_gradients_of_a_training_that_failed_are_forgotten(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    batch: Callable[[int], Batch],
    accelerator: Accelerator,
) -> None:
    other_model.load_state_dict(model.state_dict())
    for parameter in other_model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for network in (model, other_model):
        Trainer(network, RECIPE, accelerator).run(batch, until=2)
    assert_equal(weights(model), weights(other_model))


def test_a_loss_that_is_no_number_ends_training_before_it_spreads(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], accelerator: Accelerator
) -> None:
    trainer = Trainer(model, RECIPE, accelerator)
    trainer.run(batch, until=2)
    with torch.no_grad():
        model.predictions.decoder.bias[7] = math.inf
    before = weights(model)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 2: lower the learning rate"):
        trainer.run(batch)
    assert_equal(weights(model), before)
    with pytest.raises(TrainingError, match="the held-out loss is (nan|inf): lower the learning rate"):
        evaluate(model, [batch(0)], accelerator)


def test_sparse_prediction_is_on_inside_and_as_before_outside(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], accelerator: Accelerator
) -> None:
    trainer, seen = Trainer(model, RECIPE, accelerator), []

    def watched(step: int) -> Batch:
        seen.append(model.config.sparse_prediction)
        return batch(step)

    trainer.run(watched, until=1)
    assert (seen, model.config.sparse_prediction) == ([True], False)
    evaluate(model, [batch(0)], accelerator)
    assert model.config.sparse_prediction is False

    def broken(step: int) -> Batch:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(broken)
    assert model.config.sparse_prediction is False


def test_evaluation_is_the_mean_over_all_labelled_tokens(
    model: AutoBertForMaskedLM, batches: MaskedBatches, accelerator: Accelerator
) -> None:
    """However the rows are cut into batches, and equal to the plain formula on dense logits."""
    with torch.no_grad():
        model.predictions.decoder.bias.normal_(generator=torch.Generator().manual_seed(0))
    (whole,) = MaskedBatches(batches.rows, batches.tokenizer, 52, seed=1).held_out(52)
    parts = [{name: tensor[start:end] for name, tensor in whole.items()} for start, end in ((0, 3), (3, 40), (40, 52))]
    with torch.no_grad():
        logits = model.eval()(whole["input_ids"]).logits
    expected = functional.cross_entropy(logits.flatten(0, 1), whole["labels"].flatten()).item()
    assert evaluate(model, [whole], accelerator) == pytest.approx(expected, rel=1e-5)
    assert evaluate(model, parts, accelerator) == pytest.approx(expected, rel=1e-5)
    assert not model.training


def test_weight_decay_spares_biases_and_norms(model: AutoBertForMaskedLM, accelerator: Accelerator) -> None:
    decayed, plain = Trainer(model, RECIPE, accelerator).optimizer.param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in plain["params"]} == {1}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_memory_that_is_used_up_is_one_exception() -> None:
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**52)
    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors():
        torch.ones(2) + torch.ones(3)
