"""Baseline: the standard GPT-2-like network, made smaller and larger by its depth alone (LiteTransformerSearch)."""

from collections.abc import Callable, Sequence

from autobert_hf.modeling.arithmetic import count_encoder_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture


HEAD_DIM = 64  # GPT-2's
RATIO = 4  # of feed-forward width to width


def scaled_in_depth(width: int, depths: Sequence[int], heads: int = 0) -> list[Architecture]:
    """
    For each depth the network of equal layers, with a feed-forward width of 4 x `width`. Without `heads` there are
    as many as in GPT-2, of 64 features each, but at least one.
    """
    number = heads or max(width // HEAD_DIM, 1)
    layer = {"layer_type": "full_attention", "intermediate_size": RATIO * width}
    layer |= {"num_attention_heads": number, "head_dim": width // number}
    return [Architecture.of([layer] * depth, hidden_size=width) for depth in depths]


def nearest_in_size(
    scaled: Sequence[Architecture],
    base: AutoBertConfig,
    found: AutoBertConfig,
    size: Callable[[AutoBertConfig], float] = count_encoder_parameters,
) -> AutoBertConfig:
    """The baseline, on `base`, whose `size` is nearest to that of the found network: what it is trained beside."""
    wanted = size(found)
    return min((one.to_config(base) for one in scaled), key=lambda config: abs(size(config) - wanted))
