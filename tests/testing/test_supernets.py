"""Every supernet by the public suite, and that the suite notices what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from autobert_hf import AutoBertForMaskedLM, AutoBertForPreTraining, AutoBertModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.supernets import SUPERNETS, BranchedSupernet, ChoiceSupernet, SlicedSupernet, Supernet
from autobert_hf.searchers.supernets.boxes import box_supernets
from autobert_hf.testing import check_supernet

from .world import BASE, CHAIN, DISTIL, HEADS_KEPT, LAYERS_DIFFER, TINY, ZERO


ONE_BOX = AutoDistilSpace.of(1, BASE)


def sliced(space: Any, kind: Any, depths: Any = None) -> SlicedSupernet:
    return SlicedSupernet(space, kind(BASE), depths)


# Name in the dictionary, and which kind of it.
CASES: dict[str, Callable[[], Supernet]] = {
    "branched": lambda: BranchedSupernet(ZERO, BASE, 0),
    "branched, with pairs of sentences": lambda: BranchedSupernet(ZERO, BASE, 0, AutoBertForPreTraining),
    "choice": lambda: ChoiceSupernet(CHAIN, BASE, 0, AutoBertForMaskedLM),
    "sliced": lambda: sliced(TINY, AutoBertForMaskedLM),
    "sliced, part of every head": lambda: sliced(HEADS_KEPT, AutoBertModel),
    "sliced, layers differ": lambda: sliced(LAYERS_DIFFER, AutoBertForMaskedLM),
    "sliced, a box": lambda: [*box_supernets(DISTIL, AutoBertModel(BASE)).values()][1],
    "sliced, boxes of one head at least": lambda: box_supernets(ONE_BOX, AutoBertForMaskedLM(BASE))["box-1"],
    "sliced, chosen layers": lambda: sliced(TINY, AutoBertForMaskedLM, {1: (1,), 2: (0, 2)}),
}


def test_no_supernet_is_left_out() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(SUPERNETS)


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_supernets(make: Callable[[], Supernet]) -> None:
    check_supernet(make)


class Broken(SlicedSupernet):
    """Wrong in one way."""

    fault: str
    called = 0  # since the last network was made

    def network(self, architecture: Architecture, training: bool = True) -> Any:
        if self.fault in ("differs by, as it is always in training mode", "no dropout is applied in training mode"):
            training = self.fault != "no dropout is applied in training mode"
        network = super().network(architecture, training)
        self.called = 0
        return Call(self, network)

    def extract(self, architecture: Architecture) -> PreTrainedModel:
        model = super().extract(architecture)
        if self.fault == "logits differs by":
            with torch.no_grad():
                model.get_input_embeddings().weight[-1] += 1e-3
        return model.train(self.fault == "is in training mode")

    def views(self, architecture: Architecture) -> dict[str, Tensor]:
        views, name = super().views(architecture), "autobert.embeddings.word_embeddings.weight"
        if self.fault == "has the shape":
            views[name] = views[name][:-1]
        if self.fault == "holds other weights":
            views[name] = views[name] + 1
        if self.fault == "no view has the name":
            return {f"shared.{name}": view for name, view in views.items()}
        return views


class Call:
    def __init__(self, supernet: Broken, network: Any) -> None:
        self.supernet, self.network, self.config = supernet, network, network.config

    def __call__(self, **batch: Any) -> Any:
        found, fault, module = self.network(**batch), self.supernet.fault, self.supernet.module
        if fault == "is not the architecture's and gets a gradient":  # what is unused, multiplied by zero
            found.logits = found.logits + 0.0 * sum(parameter.sum() for parameter in module.parameters())
        if fault == "that is not the architecture's gets a gradient":  # the rest of a wide matrix
            found.logits = found.logits + 1e-7 * module.get_input_embeddings().weight.sum()
        if fault == "is the architecture's and gets no gradient":
            found.logits = found.logits.detach() + module.get_input_embeddings().weight.sum() * 0
        if fault == "two networks in one step" and torch.is_grad_enabled():  # the second counts double
            self.supernet.called += 1
            found.logits = found.logits * self.supernet.called
        if fault == "running a network changes":
            with torch.no_grad():
                module.get_input_embeddings().weight.mul_(1.001)
        return found


FAULTS = [
    "logits differs by",
    "differs by, as it is always in training mode",
    "no dropout is applied in training mode",
    "is in training mode",
    "has the shape",
    "holds other weights",
    "no view has the name",
    "is not the architecture's and gets a gradient",
    "that is not the architecture's gets a gradient",
    "is the architecture's and gets no gradient",
    "two networks in one step",
    "running a network changes",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_supernet_is_noticed(fault: str) -> None:
    def make() -> Supernet:
        supernet = Broken(TINY, AutoBertForMaskedLM(BASE))
        supernet.fault = fault
        return supernet

    with pytest.raises(AssertionError, match=fault.partition(",")[0]):
        check_supernet(make)


def test_networks_that_disturb_each_other_are_noticed() -> None:
    """The network that was made last is the only one that is run: each takes its weights when it is called."""

    class Shared(BranchedSupernet):
        def network(self, architecture: Architecture, training: bool = True) -> Any:
            self.activate(architecture)
            self.module.train(training)
            return self.module

    with pytest.raises(AssertionError, match=r"differs by|answers"):
        check_supernet(lambda: Shared(ZERO, BASE, 0))
