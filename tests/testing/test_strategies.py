"""Every strategy by the public suite, and that the suite notices what is wrong."""

from collections.abc import Callable
from random import Random

import pytest

from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.strategies.evolution import Evolution
from autobert_hf.searchers.strategies.fixed_list import FixedList
from autobert_hf.searchers.strategies.front_evolution import FrontEvolution
from autobert_hf.searchers.strategies.op_nas import OpNas
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import GenerationRoulette, Roulette
from autobert_hf.searchers.strategies.round_robin import RoundRobin
from autobert_hf.searchers.strategies.strategy import Strategy
from autobert_hf.testing import check_strategy

from .world import LOSS, LTS, TINY, ZERO


SIZES = {"population": 6, "parents": 2, "children": 3}
CASES: dict[str, Callable[[int], Strategy]] = {
    "op-nas": lambda seed: OpNas(ZERO, LOSS, seed, **SIZES),
    "evolution": lambda seed: Evolution(TINY, LOSS, seed, **SIZES),
    "front-evolution": lambda seed: FrontEvolution(LTS, LOSS, seed, **SIZES),
    "random": lambda seed: RandomSearch(TINY, LOSS, seed, **SIZES),
    "roulette": lambda seed: Roulette(TINY, LOSS, seed, **SIZES),
    "generation-roulette": lambda seed: GenerationRoulette(TINY, LOSS, seed, **SIZES),
    "fixed-list": lambda seed: FixedList([TINY.sample(Random(1000 * seed + n)) for n in range(12)], round=4),
    "round-robin": lambda seed: RoundRobin([Roulette(TINY, LOSS, seed + 9 * n, 4) for n in range(2)]),
}


def test_no_strategy_is_left_out() -> None:
    assert set(CASES) == set(STRATEGIES)


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_strategies(make: Callable[[int], Strategy]) -> None:
    check_strategy(make)


class Careless(RandomSearch):
    """Every trial has children, those that failed too."""

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(super().ask(trial_id).architecture, trial_id - 6 if trial_id > 6 else None, "mutate")


class Hasty(RandomSearch):
    """Children of its own round."""

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(super().ask(trial_id).architecture, trial_id - 1 if trial_id else None, "mutate")


class Forgetful(RandomSearch):
    """Whatever the seed."""

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(self.space.sample(Random(trial_id)))


class Moody(RandomSearch):
    def ask(self, trial_id: int) -> Proposal:
        return Proposal(self.space.sample(Random()))


class Lax(RandomSearch):
    def survivors(self) -> list[Trial]:
        return self.history[:3]


class Idle(RandomSearch):
    def round_size(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Careless, "a failed trial has children"),
        (Hasty, "a parent is not from an earlier round"),
        (Forgetful, "two seeds give the same search"),
        (Moody, "the same seed gives two different searches"),
        (Lax, "a failed trial survives"),
        (Idle, "an empty round"),
    ],
)
def test_a_broken_strategy_is_noticed(kind: type[RandomSearch], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_strategy(lambda seed: kind(TINY, LOSS, seed, **SIZES))
