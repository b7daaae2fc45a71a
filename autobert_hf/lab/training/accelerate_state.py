"""Isolates Accelerate's process-wide state of a run from that of the script that starts it."""

from types import TracebackType
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState


class AccelerateState:
    """
    In Accelerate, the first accelerator of a process sets precision, device and accumulation for all others. Inside
    `with` this state is empty, or as it was when the same object was left; afterwards the previous state is restored.
    So two runs may differ, and a script's Trainer or Accelerator is not affected. Process groups are kept.
    """

    def __init__(self) -> None:
        self.kept: dict[type, dict[str, Any]] = {}
        self.depth = 0

    def __enter__(self) -> "AccelerateState":
        if self.depth == 0:
            self._swap()
        self.depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.depth -= 1
        if self.depth == 0:
            self._swap()

    def _swap(self) -> None:
        """Exchanges the current state with the kept one."""
        is_group = torch.distributed.is_available() and torch.distributed.is_initialized()
        for owner in (AcceleratorState, GradientState, *(() if is_group else (PartialState,))):
            there, owner_state = dict(owner._shared_state), owner._shared_state
            owner_state.clear()
            owner_state.update(self.kept.pop(owner, {}))
            self.kept[owner] = there
