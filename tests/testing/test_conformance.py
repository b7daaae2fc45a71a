"""Every space and every searcher by the public suite, and that the suite notices what is wrong."""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice
from random import Random

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import OBJECTIVES, Goals
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces import SPACES
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.formulas import Draw, uniform
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import Roulette
from autobert_hf.searchers.strategies.round_robin import Alternating
from autobert_hf.testing.checks import check_searcher, check_space


LOSS = Goals((OBJECTIVES["loss"],))
BASE = AutoBertConfig(vocab_size=60, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96)
MADE = {
    "autobert-zero": AutoBertZeroSpace(num_hidden_layers=3),
    "autotinybert": AutoTinyBertSpace.within(BASE, width_step=8, inner_step=16),
    "autotinybert, part of every head": AutoTinyBertSpace.within(BASE, part_of_heads=True, width_step=8),
    "autotinybert, layers differ": AutoTinyBertSpace.within(BASE, identical=False, width_step=8),
}
SIZES = {"population": 6, "parents": 2, "children": 3}


def test_no_space_is_left_out() -> None:
    assert {name.partition(",")[0] for name in MADE} == set(SPACES)


@pytest.mark.parametrize("space", MADE.values(), ids=MADE)
def test_spaces(space: AutoBertZeroSpace | AutoTinyBertSpace) -> None:
    check_space(space, BASE)


@pytest.mark.parametrize("kind", [*STRATEGIES.values(), Roulette])
def test_searchers(kind: type[RandomSearch]) -> None:
    check_searcher(lambda seed: kind(MADE["autotinybert"], LOSS, seed, **SIZES))


def test_searchers_that_take_turns() -> None:
    check_searcher(lambda seed: Alternating([Roulette(MADE["autotinybert"], LOSS, seed + 9 * n, 4) for n in range(2)]))


@dataclass(frozen=True)
class Broken(AutoTinyBertSpace):
    """Wrong in one way."""

    fault: str = ""

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        if self.fault == "no guide was asked":
            return super().mutate(architecture, rng)
        child = super().mutate(architecture, rng, draw)
        if self.fault == "leads out of the space":
            return Architecture.of(child.layer_dicts, **dict(child.settings) | {"hidden_size": 49})
        return architecture if self.fault == "the mutant is its parent" else child

    def sample(self, rng: Random) -> Architecture:
        return super().sample(Random() if self.fault == "gives two networks" else rng)

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return [] if self.fault == "a network without genes" else super().genes(architecture)

    def largest(self) -> Architecture:
        smallest = next(islice(self.enumerate(), 1))
        return smallest if self.fault == "larger than the largest" else super().largest()


@pytest.mark.parametrize(
    "fault",
    [
        "leads out of the space",
        "the mutant is its parent",
        "gives two networks",
        "a network without genes",
        "larger than the largest",
        "no guide was asked",
    ],
)
def test_a_broken_space_is_noticed(fault: str) -> None:
    sizes = {name: MADE["autotinybert"].grid(name) for name in ("hidden_size", "intermediate_size")}
    space = Broken(
        **sizes, num_hidden_layers=range(1, 4), num_attention_heads=range(4, 5), head_dim=(12,), fault=fault
    )
    with pytest.raises(AssertionError, match=fault):
        check_space(space, BASE)


class Careless(RandomSearch):
    """Every trial has children, those that failed too."""

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(super().ask(trial_id).architecture, trial_id - 6 if trial_id > 6 else None, "mutate")


class Forgetful(RandomSearch):
    """Whatever the seed."""

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(self.space.sample(Random(trial_id)))


class Lax(RandomSearch):
    def survivors(self) -> list[Trial]:
        return self.history[:3]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Careless, "a failed trial has children"),
        (Forgetful, "two seeds, one search"),
        (Lax, "a failed trial survives"),
    ],
)
def test_a_broken_searcher_is_noticed(kind: type[RandomSearch], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_searcher(lambda seed: kind(MADE["autotinybert"], LOSS, seed, **SIZES))
