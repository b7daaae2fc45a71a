"""Several processes: as several threads, where each gathers what all of them have, and real ones."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from autobert_hf.lab.training.team import Team


T = TypeVar("T")
SECONDS = 30  # whoever waits longer is alone: the others have failed, or gather less often


class OneOfSeveral:
    """What a loop and a folder need of a team."""

    def __init__(self, rank: int, barrier: Barrier, table: list[Sequence[Any]]) -> None:
        self.rank = rank
        self.size = len(table)
        self.is_main = rank == 0
        self.barrier = barrier
        self.table = table

    def wait(self) -> None:
        self.barrier.wait(SECONDS)

    def gather_in_order(self, mine: Sequence[Any]) -> list[Any]:
        self.table[self.rank] = mine
        self.barrier.wait(SECONDS)
        everybody = [one for part in self.table for one in part]
        self.barrier.wait(SECONDS)
        return everybody


def together(size: int, work: Callable[[Any], T]) -> list[T]:
    """What `work(team)` returns in each of `size` processes."""
    barrier, table = Barrier(size), [()] * size
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, [OneOfSeveral(rank, barrier, table) for rank in range(size)]))


def team_of(processes: int) -> Team:
    """In a process that `debug_launcher` has forked; what Accelerate knew before the fork was of one process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    team = Team(Accelerator(cpu=True, mixed_precision="no"))
    assert team.size == processes
    return team
