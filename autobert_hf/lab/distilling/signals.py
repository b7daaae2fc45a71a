"""What a distillation compares: last hidden states, and the projections of the last attention layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from autobert_hf.lab.distilling.attention_record import Projections, last_attention


class DistillationError(ValueError):
    """Student and teacher have nothing to compare."""


class Encoder(Protocol):
    """A bare encoder, or a sub-network of one."""

    @property
    def config(self) -> PreTrainedConfig: ...

    def __call__(self, **batch: Any) -> Any: ...  # noqa: ANN401


@dataclass(frozen=True)
class Signals:
    """Last hidden states (batch, tokens, width), last attention projections, and which tokens are real."""

    hidden: Tensor
    attention: Projections | None
    real: Tensor


def signals(network: Encoder, batch: Mapping[str, Tensor]) -> Signals:
    with last_attention(network.config) as seen:
        hidden = network(**encoder_inputs(batch)).last_hidden_state
    return Signals(hidden, seen[0] if seen else None, real_tokens(batch))


def encoder_inputs(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs of an encoder in a batch, without e.g. the labels of masked tokens."""
    return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch}


def real_tokens(batch: Mapping[str, Tensor]) -> Tensor:
    """(batch, tokens): True for tokens that are not padding."""
    return batch["attention_mask"].bool() if "attention_mask" in batch else torch.ones_like(batch["input_ids"]).bool()


def attention_of(network: Signals, name: str) -> Projections:
    """
    The recorded projections of the network called `name`.

    Raises:
        DistillationError: if they could not be recorded.
    """
    if network.attention is None:
        raise DistillationError(
            f"{name}'s attention does not go through transformers' attention interface, so that its scores cannot be "
            "read: give --loss sentences, which compares hidden states only."
        )
    return network.attention
