"""One set of weights for every architecture of a space."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn
from transformers import PreTrainedModel

from autobert_hf.lab.losses.loss import Network
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.space import Space


class Supernet(Protocol):
    """`module` owns the weights; the outputs of `network` and of the `extract`ed model agree to 1e-5 in fp32."""

    @property
    def module(self) -> nn.Module: ...

    @property
    def space(self) -> Space: ...

    def network(self, architecture: Architecture, training: bool = True) -> Network:
        """
        The architecture on the shared weights, valid until the optimizer's next step. Several may run in one step,
        each in its own mode (`training`).
        """
        ...

    def views(self, architecture: Architecture) -> dict[str, Tensor]:
        """The architecture's part of the shared weights, by name: what a child inherits and writes back."""
        ...

    def extract(self, architecture: Architecture) -> PreTrainedModel:
        """The architecture as a separate model with the shared weights, in evaluation mode."""
        ...


def sampled(supernet: Supernet, policy: Policy) -> Callable[[int, int], list[Network]]:
    """For a trainer: maps (step, shard) to the networks that the policy selects."""
    return lambda step, shard: [supernet.network(architecture) for architecture in policy(step, shard)]
