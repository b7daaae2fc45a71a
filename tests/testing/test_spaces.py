"""Every space by the public suite, and that the suite notices what is wrong."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces import SPACES
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.formulas import Draw, uniform
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.spaces.restricted import RestrictedSpace
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.testing import check_space

from .world import BASE, CHAIN, DISTIL, HEADS_KEPT, LAYERS_DIFFER, LTS, TINY, ZERO


LARGER = AutoBertConfig()

# Name in the dictionary, and which kind of it; a space of settings that make no network has no base.
CASES = {
    "autobert-zero": (ZERO, BASE),
    "autobert-zero, three attentions": (replace(ZERO, num_hidden_layers=4, constraint="att"), BASE),
    "autobert-zero, three convolutions": (replace(ZERO, num_hidden_layers=4, constraint="conv"), BASE),
    "autobert-zero, kernels that never fall": (replace(ZERO, constraint="no-desc"), BASE),
    "autotinybert": (TINY, BASE),
    "autotinybert, part of every head": (HEADS_KEPT, BASE),
    "autotinybert, layers differ": (LAYERS_DIFFER, BASE),
    "chain": (CHAIN, BASE),
    "autodistil": (DISTIL, BASE),
    "autodistil, one box": (AutoDistilSpace.of(1, LARGER), LARGER),
    "autodistil, five boxes": (AutoDistilSpace.of(5, LARGER), LARGER),
    "autodistil, a box alone": (DISTIL.boxes[0], BASE),
    "grid": (GridSpace(layers=[2, 4, 6], width=[64, 128], activation=["gelu", "relu", None]), None),
    "grid, of networks": (GridSpace(num_hidden_layers=[1, 2], intermediate_size=[8, 16, 24]), BASE),
    "lts": (LTS, BASE),
    "restricted": (RestrictedSpace(TINY, lambda one: len(one.layers) > 0), BASE),
}


def test_no_space_is_left_out() -> None:
    assert {name.partition(",")[0] for name in CASES} >= set(SPACES)


@pytest.mark.parametrize(("space", "base"), CASES.values(), ids=CASES)
def test_spaces(space: Space, base: object) -> None:
    check_space(space, base)


@dataclass(frozen=True)
class Broken(AutoTinyBertSpace):
    """Wrong in one way."""

    fault: str = ""

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        if self.fault == "mutate never calls its draw":
            return super().mutate(architecture, rng)
        child = super().mutate(architecture, rng, draw)
        if self.fault == "leads out of the space":
            return Architecture.of(child.layer_dicts, **dict(child.settings) | {"hidden_size": 49})
        return architecture if self.fault == "the mutant is its parent" else child

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        return super().crossover(one, other, Random() if self.fault == "two children of the same parents" else rng)

    def sample(self, rng: Random) -> Architecture:
        return super().sample(Random() if self.fault == "gives two architectures" else rng)

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return [] if self.fault == "an architecture without genes" else super().genes(architecture)

    def largest(self) -> Architecture:
        smallest = next(islice(self.enumerate(), 1))
        return smallest if self.fault == "larger than the largest" else super().largest()

    def smallest(self) -> Architecture:
        smallest = super().smallest()
        return Architecture(()) if self.fault == "the smallest architecture is not in the space" else smallest


FAULTS = [
    "leads out of the space",
    "the mutant is its parent",
    "gives two architectures",
    "two children of the same parents",
    "an architecture without genes",
    "larger than the largest",
    "the smallest architecture is not in the space",
    "mutate never calls its draw",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_space_is_noticed(fault: str) -> None:
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "head_dim")
    space = Broken(**{name: TINY.grid(name) for name in names}, fault=fault)
    with pytest.raises(AssertionError, match=fault):
        check_space(space, BASE)


class Doubling(Broken):
    """Whose JSON is not what it was made of."""

    def sample(self, rng: Random) -> Architecture:
        found = super().sample(rng)
        return Architecture(found.layers, (*found.settings, ("hidden_size", found.settings[1][1])))


def test_an_architecture_that_is_another_one_as_json_is_noticed() -> None:
    class Open(Doubling):
        def contains(self, architecture: Architecture) -> bool:
            return True

    with pytest.raises(AssertionError, match="another architecture after a round trip through JSON"):
        check_space(Open(), None)
