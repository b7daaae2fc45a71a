"""A teacher's answers are remembered: all students of a run are shown the same batches."""

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import Signals, signals


MOST_BYTES = 2**30


class TeacherCache:
    """
    `TeacherCache(teacher)(batch)` are the signals of a frozen encoder, by batch, and by whether what the last
    attention works on is asked for, which takes three times more memory. In each precision it answers anew: an error
    in fp32 is not compared with what a training was told in bf16. Once `most` bytes are full, new batches are
    answered each time.
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
    """Of matrix products."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def _bytes(answer: Signals) -> int:
    tensors: list[Tensor] = [answer.hidden, answer.real]
    if answer.attention is not None:
        tensors += [answer.attention.query, answer.attention.key, answer.attention.value]
    return sum(tensor.nbytes for tensor in tensors)
