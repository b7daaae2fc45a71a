"""Several processes as several threads: what an accelerator reduces is the sum over all of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Barrier
from typing import Any, TypeVar

import torch

from autobert_hf.lab.training.team import Team


T = TypeVar("T")
SECONDS = 30  # one that waits longer is alone: the others have reduced less often, or have failed


class OneOfSeveral:
    """What a team needs of Accelerate."""

    device = torch.device("cpu")

    def __init__(self, index: int, barrier: Barrier, table: list[torch.Tensor]) -> None:
        self.process_index = index
        self.num_processes = len(table)
        self.is_main_process = index == 0
        self.barrier = barrier
        self.table = table

    def autocast(self) -> AbstractContextManager:
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def reduce(self, tensor: torch.Tensor, how: str) -> torch.Tensor:
        assert how == "sum"
        self.table[self.process_index] = tensor.clone()
        self.barrier.wait(SECONDS)
        total = torch.stack(self.table).sum(0)
        self.barrier.wait(SECONDS)
        return total


def together(size: int, work: Callable[[Team], T]) -> list[T]:
    """What `work(team)` returns in each of `size` processes."""
    barrier, table = Barrier(size), [torch.empty(0)] * size
    accelerators: list[Any] = [OneOfSeveral(index, barrier, table) for index in range(size)]
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, map(Team, accelerators)))
