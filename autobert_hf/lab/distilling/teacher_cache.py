"""A cache of a teacher's answers: all students of a run are trained on the same batches."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import Signals


MOST_BYTES = 2**30
Answer = TypeVar("Answer", Signals, tuple[Tensor, ...])


class TeacherCache:
    """
    `cache(batch, what, ask)` returns what `ask` gave the first time for this batch and this `what`. Each precision has
    its own entries, so that an error in fp32 is not measured against signals in bf16. Beyond `most` bytes, new answers
    are not cached. `device`: the type of the teacher's.
    """

    def __init__(self, device: str, most: int = MOST_BYTES) -> None:
        self.device = device
        self.free = most
        self.known: dict[tuple[object, ...], Signals | tuple[Tensor, ...]] = {}

    def __call__(self, batch: Batch, what: Hashable, ask: Callable[[], Answer]) -> Answer:
        key = (what, _precision(self.device), *map(_contents, batch.items()))
        if key in self.known:
            return self.known[key]  # type: ignore[return-value]  # what this question was answered with
        answer = ask()
        if (size := _bytes(answer)) <= self.free:
            self.known[key], self.free = answer, self.free - size
        return answer


def _contents(named: tuple[str, Tensor]) -> tuple[object, ...]:
    name, tensor = named
    return name, tensor.shape, tensor.cpu().numpy().tobytes()


def _precision(device: str) -> torch.dtype:
    """The type that matrix products run in."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def _bytes(answer: Signals | tuple[Tensor, ...]) -> int:
    if isinstance(answer, tuple):
        return sum(tensor.nbytes for tensor in answer)
    tensors: list[Tensor] = [answer.hidden, answer.real]
    if answer.attention is not None:
        tensors += [answer.attention.query, answer.attention.key, answer.attention.value]
    return sum(tensor.nbytes for tensor in tensors)
