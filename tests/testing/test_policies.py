"""Every policy by the public suite, and that the suite notices what is wrong."""

import random
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies import (
    POLICIES,
    Anchored,
    BatchWise,
    MagicT,
    Sandwich,
    SinglePath,
    Survivors,
    TopShare,
    Uniform,
)
from autobert_hf.searchers.policies.policy import Policy, Stateless
from autobert_hf.searchers.strategies.exhaustive import drawn
from autobert_hf.testing import check_policy

from .world import CHAIN, DISTIL, HEADS_KEPT, TINY, ZERO


def attentions(architecture: Architecture) -> float:
    return CHAIN.names(architecture).count("MHA2")


CASES = {
    "single-path": (lambda seed: SinglePath(ZERO, seed), ZERO),
    "magic-t": (lambda seed: MagicT(CHAIN, seed), CHAIN),
    "anchored": (lambda seed: Anchored(MagicT(CHAIN, seed), attentions, every=2), CHAIN),
    "top-share": (
        lambda seed: TopShare(SinglePath(CHAIN, seed), attentions, every=2, space=CHAIN, seed=seed, candidates=8),
        CHAIN,
    ),
    "survivors": (lambda seed: Survivors(MagicT(CHAIN, seed), seed, drawn(CHAIN, 4, seed)), CHAIN),
    "batch-wise": (lambda seed: BatchWise(TINY, seed), TINY),
    "sandwich": (lambda seed: Sandwich(DISTIL.boxes[0], seed), DISTIL),
    "uniform": (lambda seed: Uniform(DISTIL.boxes[0], seed), DISTIL),
}


def test_no_policy_is_left_out() -> None:
    assert set(CASES) == set(POLICIES)


@pytest.mark.parametrize(("make", "space"), CASES.values(), ids=CASES)
def test_policies(make: Callable[[int], Policy], space: Any) -> None:
    check_policy(make, space)


def test_survivors_keep_the_state_of_the_policy_they_follow() -> None:
    check_policy(lambda seed: Survivors(Anchored(MagicT(CHAIN, seed), attentions, every=2), seed), CHAIN)


def test_the_sandwich_has_both_ends_and_the_same_random_ones_for_all_shards() -> None:
    """M of the middle follow it; without the ends there are M alone, and they vary from step to step."""
    box = DISTIL.boxes[1]
    sandwich, alone = Sandwich(box, 3, number=2), Uniform(box, 3, number=2)
    for step in range(4):
        smallest, largest, *middle = sandwich(step, shard=0)
        assert (smallest, largest) == (box.smallest(), box.largest())
        assert middle == alone(step, shard=0) and len(middle) == 2
        assert sandwich(step, shard=1) == sandwich(step, shard=0)
    assert len({tuple(alone(step, 0)) for step in range(4)}) == 4


class Remembering:
    """
    One that remembers, as MAGIC's does: a few architectures stay, and the oldest gives way at every third step. Broken
    in one way, if that is asked for.
    """

    def __init__(self, seed: int, fault: str = "") -> None:
        self.seed, self.fault = seed, fault
        self.kept = [self.drawn(-1, number) for number in range(2)]
        self.asked: list[int] = []

    def drawn(self, *at: int) -> Architecture:
        return TINY.sample(Random(derive(0 if self.fault == "two seeds" else self.seed, "anchored", *at)))

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        self.asked.append(shard)
        if self.fault == "order in which shards are asked":
            return [self.drawn(step, len(self.asked))]
        if self.fault == "a second call for a shard":
            return [self.drawn(step, shard, self.asked.count(shard))]
        if self.fault == "does not follow from the seed":
            return [TINY.sample(random)]  # type: ignore[arg-type]
        if self.fault == "no architecture":
            return []
        if self.fault == "leads out of the space":
            return [HEADS_KEPT.sample(Random(step))]
        return [self.drawn(step, shard), self.kept[shard % 2]]

    def after_step(self, step: int) -> None:
        # What stays must not follow from the shards that this very process was asked for.
        shards = sum(self.asked) if self.fault == "number of processes" else 7
        self.asked = []
        if step % 3 == 0:
            self.kept = [self.kept[1], self.drawn(step, shards)]

    def state(self) -> dict[str, Any]:
        if self.fault == "reading the state":
            self.kept = self.kept[::-1]
        return {"kept": [one.to_json() for one in self.kept]}

    def restore(self, state: dict[str, Any]) -> None:
        if self.fault != "continues with other architectures":
            self.kept = [Architecture.from_json(one) for one in state["kept"]]


def test_a_policy_that_remembers() -> None:
    check_policy(Remembering, TINY)


FAULTS = [
    "no architecture",
    "leads out of the space",
    "order in which shards are asked",
    "number of processes",
    "a second call for a shard",
    "does not follow from the seed",
    "continues with other architectures",
    "reading the state",
    "two seeds",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_policy_is_noticed(fault: str) -> None:
    random.seed(1)
    with pytest.raises(AssertionError, match=fault):
        check_policy(lambda seed: Remembering(seed, fault), TINY)


class Stubborn(Stateless):
    """Remembers, and does not say so."""

    def __init__(self, seed: int) -> None:
        self.seed, self.done = seed, 0

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        return [TINY.sample(Random(derive(self.seed, self.done, shard)))]

    def after_step(self, step: int) -> None:
        self.done += 1


def test_a_memory_that_is_not_in_the_state_is_noticed() -> None:
    with pytest.raises(AssertionError, match="continues with other architectures"):
        check_policy(Stubborn, TINY)
