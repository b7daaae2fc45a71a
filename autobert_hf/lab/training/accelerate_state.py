"""What Accelerate keeps for all accelerators of a process: ours for a while, then a script's own again."""

from types import TracebackType
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState


class AccelerateState:
    """
    Precision, device and accumulation of a process are those of its first accelerator, for all of them. Inside `with`
    they begin anew, or as they were when the same object was left; afterwards they are what they had been, so that two
    runs may differ, and a script's Trainer or Accelerator notices nothing. Several processes stay the group they are.
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
        """What is there is kept, what was kept is there."""
        is_group = torch.distributed.is_available() and torch.distributed.is_initialized()
        for owner in (AcceleratorState, GradientState, *(() if is_group else (PartialState,))):
            there, owner_state = dict(owner._shared_state), owner._shared_state
            owner_state.clear()
            owner_state.update(self.kept.pop(owner, {}))
            self.kept[owner] = there
