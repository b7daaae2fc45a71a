"""Honest timing: candidates and a reference in alternation, by the processor time of this process, as ratios."""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


BUSY = 1.2  # wall time over processor time from which on other work has disturbed the measurement


@dataclass(frozen=True)
class Ratio:
    """Time over the reference's: median and quartiles of the ratios of each round, by CPU and by wall clock."""

    median: float
    low: float
    high: float
    wall: float
    seconds: float
    busy: bool

    def to_dict(self) -> dict[str, float | bool]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}-{self.high:.3f}]"


def clocks(call: Callable[[], object]) -> tuple[float, float]:
    """(processor, wall) seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def paired_ratios(
    reference: Callable[[], object],
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 12,
    repeats: int = 3,
    seed: int = 0,
) -> dict[str, Ratio]:
    """
    Each round runs the reference and every candidate `repeats` times in a new random order, after one round that does
    not count. On a busy machine such ratios repeat to 1 or 2 percent where wall times alone scatter by 30.
    """
    calls = {"reference": reference, **candidates}
    order = random.Random(seed)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for name in order.sample([*calls] * repeats, len(calls) * repeats):
            seconds[name].append(clocks(calls[name]))
        if number:
            for name, taken in seconds.items():
                cpu, wall = zip(*taken, strict=True)
                times[name].append((statistics.median(cpu), statistics.median(wall)))
    return {name: _ratio(times[name], times["reference"]) for name in candidates}


def _ratio(taken: list[tuple[float, float]], reference: list[tuple[float, float]]) -> Ratio:
    by_cpu = [one[0] / other[0] for one, other in zip(taken, reference, strict=True)]
    by_wall = [one[1] / other[1] for one, other in zip(taken, reference, strict=True)]
    low, median, high = statistics.quantiles(by_cpu, n=4)
    cpu, wall = (statistics.median(column) for column in zip(*taken, strict=True))
    return Ratio(median, low, high, statistics.median(by_wall), cpu, wall > BUSY * cpu)
