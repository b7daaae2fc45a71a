"""Paired timing: candidates and a reference run in alternation; results are ratios of their times."""

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


BUSY = 1.2  # ratio of wall to processor time above which other work has disturbed the measurement
PATIENCE = 5  # rounds grow up to this many times the requested number while the error is too large

Call = Callable[[], object]
Clock = Callable[[Call], tuple[float, float]]  # (seconds that count, wall seconds) of one call


@dataclass(frozen=True)
class Ratio:
    """
    Time over the reference's: `median` and quartiles (`low`, `high`) of the rounds' ratios; `wall` by wall clock;
    `seconds` of one call. `error`: relative standard error of the median, from the quartiles, for normal noise.
    """

    median: float
    low: float
    high: float
    wall: float
    seconds: float
    busy: bool
    error: float
    rounds: int

    def to_dict(self) -> dict[str, float | bool]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}-{self.high:.3f}]"


def clocks(call: Call) -> tuple[float, float]:
    """(processor, wall) seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def paired_ratios(
    reference: Call,
    candidates: Mapping[str, Call],
    rounds: int = 12,
    repeats: int = 3,
    seed: int = 0,
    error: float = math.inf,
    clock: Clock = clocks,
) -> dict[str, Ratio]:
    """
    Each round runs the reference and every candidate `repeats` times in a new random order, after one warm-up round.
    On a busy machine such ratios are reproducible to 1 or 2 percent, whereas wall times vary by 30. Rounds are added
    while the error of any ratio is above `error`, up to `PATIENCE` times `rounds`.
    """
    calls = {"reference": reference, **candidates}
    order = random.Random(seed)
    _round(calls, repeats, order, clock)
    times: list[dict[str, tuple[float, float]]] = []
    while True:
        times.append(_round(calls, repeats, order, clock))
        if len(times) >= rounds:
            found = {name: _ratio([(one[name], one["reference"]) for one in times]) for name in candidates}
            if len(times) >= PATIENCE * rounds or all(ratio.error <= error for ratio in found.values()):
                return found


def _round(
    calls: Mapping[str, Call], repeats: int, order: random.Random, clock: Clock
) -> dict[str, tuple[float, float]]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for name in order.sample([*calls] * repeats, len(calls) * repeats):
        taken[name].append(clock(calls[name]))
    return {
        name: (statistics.median(counted for counted, _ in pairs), statistics.median(wall for _, wall in pairs))
        for name, pairs in taken.items()
    }


def _ratio(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> Ratio:
    """From (counted, wall) seconds of the candidate and of the reference in each round."""
    ratios = [one[0] / other[0] for one, other in pairs]
    low, median, high = statistics.quantiles(ratios, n=4)
    seconds, wall = (statistics.median(one[clock] for one, _ in pairs) for clock in (0, 1))
    # Normal noise: quartiles lie 1.349 standard deviations apart, the median has 1.253 / sqrt(n) of one.
    error = 1.253 / 1.349 * (high - low) / math.sqrt(len(pairs)) / median
    by_wall = statistics.median(one[1] / other[1] for one, other in pairs)
    return Ratio(median, low, high, by_wall, seconds, wall > BUSY * seconds, error, len(pairs))
