"""A cache of a teacher's signals: all students of a run are trained on the same batches."""

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import Signals, signals


MOST_BYTES = 2**30


class TeacherCache:
    """
    `TeacherCache(teacher)(batch)` returns the signals of a frozen encoder, cached by batch and by whether attention
    projections are requested, which take three times more memory. Each precision has its own entries, so that an
    error in fp32 is not measured against signals in bf16. Beyond `most` bytes, new batches are not cached.
    """

    def __init__(self, teacher: PreTrainedModel, most: int = MOST_BYTES) -> None:
        self.teacher = teacher
        self.free = most
        self.known: dict[tuple[object, ...], Signals] = {}

    @torch.no_grad()
    def __call__(self, batch: Batch, attention: bool = True) -> Signals:
        contents = ((name, tensor.shape, tensor.cpu().numpy().tobytes()) for name, tensor in batch.items())
        key = (attention, _precision(self.teacher.device.type), *contents)
        if key in self.known:
            return self.known[key]
        answer = signals(self.teacher, batch)
        answer = answer if attention else replace(answer, attention=None)
        if (size := _bytes(answer)) <= self.free:
            self.known[key], self.free = answer, self.free - size
        return answer


def _precision(device: str) -> torch.dtype:
    """The type that matrix products run in."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def _bytes(answer: Signals) -> int:
    tensors: list[Tensor] = [answer.hidden, answer.real]
    if answer.attention is not None:
        tensors += [answer.attention.query, answer.attention.key, answer.attention.value]
    return sum(tensor.nbytes for tensor in tensors)
