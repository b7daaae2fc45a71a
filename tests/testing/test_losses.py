"""Every loss by the public suite, and that the suite notices what is wrong."""

from collections.abc import Mapping
from random import Random

import pytest
import torch
from torch import Tensor, nn

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.lab.losses.head_loss import HeadLoss
from autobert_hf.lab.losses.loss import Losses, Network, Score, Step
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.modeling.modeling_autobert import AutoBertForSequenceClassification
from autobert_hf.searchers.compatibility import LOSS_AND_SUPERNET
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.supernets import ChoiceSupernet, SlicedSupernet
from autobert_hf.searchers.supernets.supernet import Supernet
from autobert_hf.testing import check_loss

from .world import CHAIN, World


def check(world: World, loss: Loss, batch: Batch, is_sliced: bool = True) -> None:
    """On a smaller network, whose heads are the teacher's, and on its weights in the largest; or on a chain."""
    supernet: Supernet
    if is_sliced:
        space = AutoTinyBertSpace.within(world.base, part_of_heads=True, width_step=4, inner_step=8)
        supernet = SlicedSupernet(space, world.network(loss))
    else:
        supernet = ChoiceSupernet(CHAIN, world.base, 0, loss.network)
    architecture = supernet.space.sample(Random(5))
    assert architecture != supernet.space.largest()
    check_loss(loss, supernet.extract(architecture), supernet.network(architecture, training=False), batch)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(world: World, name: str) -> None:
    loss = world.loss(name)
    check(world, loss, world.batch(loss.rows), is_sliced=not LOSS_AND_SUPERNET[name, "sliced"])


def test_the_loss_of_a_head(world: World) -> None:
    class Classes(HeadLoss):
        head = AutoBertForSequenceClassification

    labels = torch.arange(8) % 2
    check(world, Classes(world.base), world.batch("texts") | {"labels": labels})


class Broken(MaskedWords):
    """Wrong in one way."""

    fault: str

    def __init__(self, world: World, fault: str) -> None:
        super().__init__(world.base)
        self.fault = fault
        self.seen_a_view = False
        if fault == "no gradient: loss.idle":
            self.idle = nn.Parameter(torch.zeros(3))

    def items(self, batch: Batch) -> dict[str, int]:
        items = super().items(batch)
        if self.fault == "a loss without terms":
            return {}
        return {"mlm": items["mlm"] / 2} if self.fault == "items are no counts" else items  # type: ignore[dict-item]

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        own = self.items(batch)
        plain = super().forward(batch, own if self.fault == "shards do not add up" else items, step)

        def losses(network: Network) -> dict[str, Tensor]:
            found, self.seen_a_view = plain(network), self.seen_a_view or not isinstance(network, nn.Module)
            if self.fault == "does not follow from the Step":
                found["mlm"] = found["mlm"] * (1 + torch.rand(()))
            if self.fault == "for a view of it" and not isinstance(network, nn.Module):
                found["mlm"] = found["mlm"] * 1.01
            if self.fault == "when another network has been evaluated" and isinstance(network, nn.Module):
                found["mlm"] = found["mlm"] + self.seen_a_view
            if self.fault == "the loss has no gradient":
                found["mlm"] = found["mlm"].detach()
            return found | ({"more": found["mlm"]} if self.fault == "the terms are" else {})

        return losses

    def score(self, batch: Batch) -> Score:
        plain, own = super().score(batch), self.items(batch)

        def score(network: Network) -> dict[str, tuple[float, int]]:
            total, count = plain(network)["mlm"]
            if self.fault == "the held-out score has random draws":
                total += float(torch.rand(()))
            if self.fault == "the score of 'mlm'":
                total *= 2
            return {"mlm": (total, count + (self.fault == "not those of `items`"))}

        return score if own else plain


FAULTS = [
    "a loss without terms",
    "items are no counts",
    "shards do not add up",
    "does not follow from the Step",
    "the terms are",
    "for a view of it",
    "when another network has been evaluated",
    "the held-out score has random draws",
    "the score of 'mlm'",
    "not those of `items`",
    "no gradient: loss.idle",
    "the loss has no gradient",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_loss_is_noticed(world: World, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check(world, Broken(world, fault), world.batch("packed"))
