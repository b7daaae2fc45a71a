"""Policies: which sub-networks of a supernet train at each step."""

from collections.abc import Sequence
from typing import Any, Protocol

from autobert_hf.records.architecture import Architecture


class Policy(Protocol):
    """
    Selects the architectures that train on a shard of a step's batch. The choice depends on nothing else, in
    particular not on the number of processes. A policy's `state` is saved in the checkpoint of the training.
    """

    def __call__(self, step: int, shard: int) -> Sequence[Architecture]: ...
    def after_step(self, step: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class Stateless:
    """A policy without state."""

    def after_step(self, step: int) -> None:
        """Does nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Does nothing."""
