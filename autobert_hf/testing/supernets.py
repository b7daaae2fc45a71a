"""Conformance checks for supernets."""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Network
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.supernets.supernet import Supernet


TOLERANCE = 1e-5
Gradients = dict[str, Tensor | None]


def check_supernet(make: Callable[[], Supernet], seeds: int = 6) -> None:
    """
    An architecture's network and its extracted model have equal outputs at all real tokens (1e-5 in fp32); training an
    architecture changes only its own weights, also next to another one in the same step; running a network changes
    nothing. The weights of the supernet are perturbed first, so that none has its initial value. With dropout in the
    configuration, training and evaluation modes are checked as well.

    Raises:
        AssertionError: if a rule is broken.
    """
    supernet = make()
    _shake(supernet.module)
    drawn = [supernet.space.sample(Random(seed)) for seed in range(seeds)]
    architectures = [supernet.space.smallest(), supernet.space.largest(), *drawn]
    for number, one in enumerate(architectures):
        other = architectures[number - 1]
        batch = _batch(supernet.network(one), number)
        _check_untouched(supernet, one, batch)
        _check_extraction(supernet, one, other, batch)
        _check_modes(supernet, one, batch)
        _check_views(supernet, one)
        _check_gradients(supernet, one, batch)
        _check_two(supernet, one, other, batch)


@torch.no_grad()
def _shake(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(7)
    for parameter in module.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def _batch(network: Network, seed: int) -> Batch:
    """Four rows of eleven tokens, the last three of them padded."""
    config: Any = network.config
    ids = torch.randint(5, config.vocab_size, (4, 11), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(11) < torch.tensor([[11], [7], [4], [1]])).long()
    return {"input_ids": ids.where(mask.bool(), config.pad_token_id or 0), "attention_mask": mask}


def _outputs(network: Network, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    """All outputs of the network, per-token ones at real tokens only. `seed` determines dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        answer: Mapping[str, Tensor] = network(**batch)
    real = batch["attention_mask"].bool()
    return {name: value[real] if value.shape[:2] == real.shape else value for name, value in answer.items()}


def _check_untouched(supernet: Supernet, one: Architecture, batch: Batch) -> None:
    before = {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}
    for training in (True, False):
        _outputs(supernet.network(one, training), batch)
    changed = [name for name, tensor in supernet.module.state_dict().items() if not tensor.equal(before[name])]
    assert not changed, f"running a network changes {', '.join(changed)}"


@torch.no_grad()
def _check_modes(supernet: Supernet, one: Architecture, batch: Batch) -> None:
    networks = [supernet.network(one, training) for training in (True, False)]
    config: Any = networks[0].config
    trained, still = (_outputs(network, batch) for network in networks)
    if config.hidden_dropout_prob:
        assert any(not trained[name].equal(still[name]) for name in still), "no dropout is applied in training mode"


@torch.no_grad()
def _check_extraction(supernet: Supernet, one: Architecture, other: Architecture, batch: Batch) -> None:
    """Outputs are equal even if another network runs in training mode in between."""
    network, beside = supernet.network(one, training=False), supernet.network(other)
    _outputs(beside, batch)
    inside = _outputs(network, batch)
    model: Any = supernet.extract(one)
    assert not model.training, "an extracted model is in training mode"
    outside = _outputs(model, batch)
    assert inside.keys() == outside.keys(), f"the network answers {[*inside]}, the extracted model {[*outside]}"
    for name, value in inside.items():
        gap = (value - outside[name]).abs() / value.abs().clamp(min=1)
        assert gap.max() <= TOLERANCE, f"the extracted model's {name} differs by {gap.max():.2g}: {one}"


@torch.no_grad()
def _check_views(supernet: Supernet, one: Architecture) -> None:
    views, own = supernet.views(one), dict(supernet.extract(one).named_parameters())
    shared = views.keys() & own.keys()
    assert shared, "no view has the name of a parameter of the extracted model"
    for name in sorted(shared):
        assert views[name].shape == own[name].shape, (
            f"the view {name} has the shape {tuple(views[name].shape)}, extracted {tuple(own[name].shape)}"
        )
        assert torch.equal(views[name], own[name]), f"the view {name} holds other weights than the extracted model"


def _check_gradients(supernet: Supernet, one: Architecture, batch: Batch) -> None:
    """Parameters outside the architecture get no gradient at all, so that the optimizer does not change them."""
    own = _differentiated(supernet.module, lambda: [view.float() for view in supernet.views(one).values()])
    found = _differentiated(supernet.module, lambda: [*_outputs(supernet.network(one), batch).values()])
    for name, gradient in found.items():
        mine = own[name]
        if mine is None:
            assert gradient is None, f"{name} is not the architecture's and gets a gradient: {one}"
        else:
            assert gradient is not None, f"{name} is the architecture's and gets no gradient: {one}"
            outside = gradient.masked_fill(mine != 0, 0.0)
            assert not outside.any(), f"a part of {name} that is not the architecture's gets a gradient: {one}"


def _check_two(supernet: Supernet, one: Architecture, other: Architecture, batch: Batch) -> None:
    """Gradients of two networks in one step add up, one in training mode, the other in evaluation mode."""

    def outputs(which: slice) -> list[Tensor]:
        networks = [supernet.network(one), supernet.network(other, training=False)]
        return [value for network in networks[which] for value in _outputs(network, batch, seed=3).values()]

    together, *apart = (
        _differentiated(supernet.module, partial(outputs, which)) for which in (slice(2), slice(1), slice(1, 2))
    )
    for name, gradient in together.items():
        parts = [found for part in apart if (found := part[name]) is not None]
        assert (gradient is None) == (not parts), f"two networks in one step: {name} has not both of their gradients"
        if gradient is not None:
            wanted = torch.stack(parts).sum(0)
            gap = (gradient - wanted).abs().max() / wanted.abs().max().clamp(min=1)
            assert gap <= 1e-4, (
                f"two networks in one step: the gradient of {name} is not the sum of theirs ({gap:.2g})"
            )


def _differentiated(module: nn.Module, outputs: Callable[[], list[Tensor]]) -> Gradients:
    """Gradients of a randomly weighted sum of the outputs."""
    names, parameters = zip(*((n, p) for n, p in module.named_parameters() if p.requires_grad), strict=True)
    total = torch.zeros(())
    for value in outputs():
        weights = 1 + torch.rand(value.shape, generator=torch.Generator().manual_seed(11))
        total = total + (value.float() * weights).sum()
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return dict(zip(names, found, strict=True))
