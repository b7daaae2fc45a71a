"""Interrupts runs as if their process had been killed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.training.trainer import Clock, Trainer
from autobert_hf.records.journal import Journal


class Interrupted(BaseException):
    """Simulates a kill; as a BaseException it is not caught on the way."""


@dataclass
class Events:
    """Counts training steps and journal lines of a run, and interrupts it before event number `last`."""

    last: float = math.inf
    happened: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        if len(self.happened) >= self.last:
            raise Interrupted(name)
        self.happened.append(name)


@contextmanager
def watched(events: Events) -> Iterator[None]:
    """Inside `with`, training steps and journal lines are events, and checkpoints are written after each step."""
    update, append = Trainer.update, Journal.append

    def watched_update(trainer: Trainer, batch: Batch) -> float:
        events("step")
        return update(trainer, batch)

    def watched_append(journal: Journal, record: dict[str, Any]) -> None:
        events("line")
        append(journal, record)

    with (
        patch.object(Trainer, "update", watched_update),
        patch.object(Journal, "append", watched_append),
        patch.object(Clock, "rings", lambda clock: True),
    ):
        yield
