"""Which sub-networks of a supernet train when."""

from collections.abc import Sequence
from typing import Any, Protocol

from autobert_hf.records.architecture import Architecture


class Policy(Protocol):
    """
    The architectures that train on a shard of a step's batch; nothing else decides, least of all the number of
    processes. What a policy remembers is its `state`, which goes into the checkpoint of the training.
    """

    def __call__(self, step: int, shard: int) -> Sequence[Architecture]: ...
    def after_step(self, step: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class Stateless:
    """A policy that remembers nothing."""

    def after_step(self, step: int) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""
