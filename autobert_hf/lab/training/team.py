"""The processes of a run, as one: what they share, and sums that are exact whatever each of them has trained."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from accelerate import Accelerator, PartialState
from accelerate.utils import gather_object
from torch import Tensor, nn


# Of one exchange: the first process may prepare a text for hours while the others wait. Of one that is dead, Partners
# tells.
LONGEST_WAIT = timedelta(days=7)
LOST = (
    "another process of this run has died; what is said of it tells why. Nothing that was finished is lost: the same "
    "command goes on from here."
)


def is_lost_process(error: RuntimeError) -> bool:
    """Whether an exchange failed because another process is gone; gloo has no exception of its own for that."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def warn_of_missing_processes() -> None:
    """`accelerate launch --cpu --num_processes 2` starts one process and says nothing; all it leaves is an address."""
    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        warnings.warn(
            "accelerate launch was asked for several processes and has started one: on a CPU it needs a configuration "
            "file with `distributed_type: MULTI_GPU` and `use_cpu: true`, such as examples/cpu2.yaml "
            "(`accelerate launch --config_file examples/cpu2.yaml ...`). This run goes on with one.",
            stacklevel=2,
        )


def processes(cpu: bool) -> PartialState:
    """On a CPU Accelerate joins processes only if told to; else each would search alone, in the same folder."""
    return PartialState(cpu=cpu, timeout=LONGEST_WAIT)


class Team:
    """
    Accelerate's processes. `alone()` is this process by itself, for a candidate of its own: nothing is reduced and
    nobody is waited for.
    """

    def __init__(self, accelerator: Accelerator, is_alone: bool = False) -> None:
        self.accelerator = accelerator
        self.is_alone = is_alone
        self.size = 1 if is_alone else accelerator.num_processes
        self.rank = 0 if is_alone else accelerator.process_index
        self.is_main: bool = accelerator.is_main_process
        self.device: torch.device = accelerator.device

    def alone(self) -> "Team":
        return Team(self.accelerator, is_alone=True)

    def autocast(self) -> AbstractContextManager:
        return self.accelerator.autocast()

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def to_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def wait(self) -> None:
        if not self.is_alone:
            self.accelerator.wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process does what stands inside before the others, which find it done."""
        with self.accelerator.main_process_first():
            yield

    def sum(self, value: Tensor) -> Tensor:
        return value if self.size == 1 else self.accelerator.reduce(value, "sum")

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """
        Each parameter's gradient becomes the sum over all processes. Where no process has one it stays None, so that
        the optimizer leaves the parameter alone, as a single process would. A wrapper like DDP cannot do this: it
        expects the same parameters on every process (and is silently wrong on the first step when they differ).
        """
        if self.size == 1:
            return
        parameters = list(parameters)
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        counts = self.sum(has).tolist()
        used = [p for p, count in zip(parameters, counts, strict=True) if count]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in used])
        flat = self.sum(flat)
        for parameter, piece in zip(used, flat.split([p.numel() for p in used]), strict=True):
            parameter.grad = piece.view_as(parameter).clone()

    def gather_in_order(self, mine: Sequence[Any]) -> list[Any]:
        """Everybody's objects, process by process."""
        return list(mine) if self.size == 1 else gather_object(list(mine))

    def end(self) -> None:
        """A process that ends while others still work is taken for one that failed."""
        self.wait()
        self.accelerator.end_training()
