"""Conformance checks for losses."""

import math
import random
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Step


def check_loss(loss: Loss, model: PreTrainedModel, view: Network, batch: Batch) -> None:
    """
    A term of a shard is its sum divided by the items of the whole batch, so that shards and processes add up; random
    draws derive from the Step; the held-out score is the same mean; all trained parameters get gradients. `view`
    computes the same as `model`, on a supernet's weights, both without dropout. `batch` has at least four rows, and
    every shard of it must have items of every term.

    Raises:
        AssertionError: if a rule is broken.
    """
    model.eval()
    items = loss.items(batch)
    assert items, "a loss without terms"
    assert all(type(count) is int and count > 0 for count in items.values()), f"items are no counts: {items}"
    _check_draws(loss, model, batch)
    _check_shards(loss, model, batch)
    _check_view(loss, model, view, batch)
    _check_score(loss, model, batch)
    _check_gradients(loss, model, batch)


def _check_shards(loss: Loss, model: PreTrainedModel, batch: Batch) -> None:
    whole = loss.items(batch)
    for index, rows in enumerate((slice(0, 1), slice(1, None))):
        shard = {name: tensor[rows] for name, tensor in batch.items()}
        own, step = loss.items(shard), Step(2, index, 3)
        assert own.keys() == whole.keys(), f"a shard has the terms {[*own]}, the batch {[*whole]}"
        alone, share = (_values(loss(shard, items, step), model) for items in (own, whole))
        for name in whole:
            wanted = alone[name] * own[name] / whole[name]
            assert _close(share[name], wanted), (
                f"shards do not add up: the term {name!r} of shard {index} must be its sum over the items of the "
                f"whole batch, {wanted:.6f}, and is {share[name]:.6f}"
            )


def _check_draws(loss: Loss, model: PreTrainedModel, batch: Batch) -> None:
    items = loss.items(batch)
    first, second = (_drawn(loss, model, batch, items, seed) for seed in (1, 2))
    assert first == second, f"a random draw does not follow from the Step: {first}, then {second}"


def _drawn(loss: Loss, model: PreTrainedModel, batch: Batch, items: Mapping[str, int], seed: int) -> dict[str, float]:
    """The terms with the global generators seeded by `seed`."""
    random.seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _values(loss(batch, items, Step(5, 1, 3)), model)


def _check_view(loss: Loss, model: PreTrainedModel, view: Network, batch: Batch) -> None:
    losses = loss(batch, loss.items(batch), Step())
    of_model, of_view, again = _values(losses, model), _values(losses, view), _values(losses, model)
    assert of_model.keys() == loss.items(batch).keys(), f"the terms are {[*of_model]}, the items {loss.items(batch)}"
    for name, value in of_model.items():
        assert math.isfinite(value), f"the term {name!r} is {value}"
        assert _close(of_view[name], value), (
            f"the term {name!r} is {value} for a model, {of_view[name]} for a view of it"
        )
        assert _close(again[name], value), f"the term {name!r} changes when another network has been evaluated"


def _check_score(loss: Loss, model: PreTrainedModel, batch: Batch) -> None:
    trained = _values(loss(batch, loss.items(batch), Step()), model)
    with torch.no_grad():
        found, again = loss.score(batch)(model), loss.score(batch)(model)
    assert found == again, "the held-out score has random draws"
    assert found.keys() == trained.keys(), f"the terms of the score are {[*found]}, of the loss {[*trained]}"
    for name, (total, count) in found.items():
        assert count == loss.items(batch)[name], f"the score counts {count} items of {name!r}, not those of `items`"
        assert _close(total / count, trained[name]), (
            f"the score of {name!r} is {total / count:.6f} per item, the loss of the same batch {trained[name]:.6f}"
        )


def _check_gradients(loss: Loss, model: PreTrainedModel, batch: Batch) -> None:
    trained = {f"loss.{name}": p for name, p in loss.named_parameters() if p.requires_grad}
    network = dict(model.named_parameters())
    terms: Mapping[str, Tensor] = loss(batch, loss.items(batch), Step())(model)
    values = [*trained.values(), *network.values()]
    total = torch.stack([*terms.values()]).sum()
    assert total.requires_grad, "the loss has no gradient"
    found = torch.autograd.grad(total, values, allow_unused=True)
    gradients = dict(zip([*trained, *network], found, strict=True))
    missing = [name for name in trained if gradients[name] is None]
    assert not missing, f"the loss owns parameters that get no gradient: {', '.join(missing)}"
    assert any(gradients[name] is not None for name in network), "the network gets no gradient"
    assert all(one is None or bool(one.isfinite().all()) for one in found), "a gradient is not finite"


def _values(losses: Losses, network: Network) -> dict[str, float]:
    with torch.no_grad():
        return {name: value.item() for name, value in losses(network).items()}


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
