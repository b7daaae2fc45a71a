"""Ratios are ratios: of work that is known beforehand."""

import math
from itertools import cycle

import pytest

from autobert_hf.lab.measuring.paired_times import PATIENCE, paired_ratios


def work(amount: int) -> int:
    return sum(i * i for i in range(amount))


def said(call) -> tuple[float, float]:
    """A clock that believes the call: (seconds, wall)."""
    return call()


def scripted(*seconds: float, wall: float = 1.0):
    """A call that takes these times in turn."""
    turn = cycle(seconds)
    return lambda: (taken := next(turn), taken * wall)


def test_twice_the_work_takes_about_twice_the_time():
    ratios = paired_ratios(lambda: work(40_000), {"same": lambda: work(40_000), "twice": lambda: work(80_000)})
    assert 0.5 < ratios["same"].median < 1.5 < ratios["twice"].median < 3
    assert ratios["same"].low <= ratios["same"].median <= ratios["same"].high


def test_every_candidate_runs_equally_often_in_a_repeatable_order():
    runs = {}

    def order() -> str:
        seen: list[str] = []
        paired_ratios(lambda: seen.append("r"), {n: lambda n=n: seen.append(n) for n in "ab"}, rounds=3, repeats=2)
        return "".join(seen)

    runs = order()
    assert runs == order()
    assert {name: runs.count(name) for name in "rab"} == {"r": 8, "a": 8, "b": 8}
    assert len({runs[i : i + 6] for i in range(0, 24, 6)}) > 1


def test_a_ratio_by_both_clocks():
    calls = {"half": scripted(0.5, wall=1.5), "busy": scripted(2.0, wall=1.1)}
    found = paired_ratios(scripted(1.0, wall=1.1), calls, rounds=4, clock=said)
    half = found["half"]
    assert (half.median, half.seconds, half.rounds, half.error) == (0.5, 0.5, 4, 0.0)
    assert half.wall == pytest.approx(0.75 / 1.1)
    assert half.busy and not found["busy"].busy


def test_the_first_round_does_not_count():
    first = iter([100.0] * 3)
    found = paired_ratios(scripted(1.0), {"a": lambda: (next(first, 2.0), 1.0)}, rounds=3, clock=said)["a"]
    assert (found.low, found.high) == (2.0, 2.0)


def test_noise_brings_more_rounds_up_to_a_bound():
    def noisy(error: float) -> dict:
        return paired_ratios(scripted(1.0), {"a": scripted(1.0, 1.2, 1.4)}, 4, repeats=1, error=error, clock=said)

    # Quartiles 1.0 and 1.4 about 1.2: the median's standard error after n rounds is 0.31 / sqrt(n).
    assert noisy(math.inf)["a"].rounds == 4
    assert noisy(0.1)["a"].error <= 0.1
    assert 4 < noisy(0.1)["a"].rounds <= 12
    hopeless = noisy(0.001)["a"]
    assert hopeless.rounds == 4 * PATIENCE
    assert hopeless.error == pytest.approx(1.253 / 1.349 * 0.4 / 1.2 / math.sqrt(20), rel=0.01)
