"""Records the queries, keys and values of the last attention layer of any Hugging Face encoder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

from autobert_hf.modeling.modeling_autobert import eager_attention_forward


@dataclass(frozen=True)
class Projections:
    """Each (batch, heads, tokens, head_dim); attention scores are `scaling` times query by key."""

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float

    @property
    def scores(self) -> Tensor:
        """Attention scores before mask and softmax, (batch, heads, tokens, tokens)."""
        return self.query @ self.key.transpose(-1, -2) * self.scaling


# Eager attention returns probabilities, from which scores cannot be recovered, and hooks would need each model's names
# of its projections. All models pass the same arguments to the attention interface, so they are recorded there.
_seen: ContextVar[list[Projections]] = ContextVar("_seen")


def _recorded(attention: Callable) -> Callable:
    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        _seen.get()[:] = [Projections(query, key, value, scaling)]
        return attention(module, query, key, value, attention_mask, scaling=scaling, **kwargs)

    return attend


for _name, _attention, _mask in (
    ("sdpa", sdpa_attention_forward, sdpa_mask),
    ("eager", eager_attention_forward, eager_mask),
):
    AttentionInterface.register(f"recorded_{_name}", _recorded(_attention))
    AttentionMaskInterface.register(f"recorded_{_name}", _mask)


@contextmanager
def last_attention(config: PreTrainedConfig) -> Iterator[list[Projections]]:
    """
    Yields a list that receives the projections of the last attention layer run by the network with this configuration.
    It stays empty if the network does not use transformers' attention interface.
    """
    before = config._attn_implementation
    config._attn_implementation = "recorded_eager" if before in (None, "eager") else "recorded_sdpa"
    seen: list[Projections] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)
        config._attn_implementation = before
