"""Baseline of LiteTransformerSearch (section 5): one standard shape, scaled in depth only."""

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.lts import LtsSpace


RATIO = 4  # of feed-forward width to width, as in GPT-2


def depth_scaling(space: LtsSpace) -> list[Architecture]:
    """
    Networks of the space with identical layers, one of each depth: the widest whose feed-forward width is four times
    the width (the nearest to it that is legal, where none is), with the most heads.
    """
    exact = [width for width in space.hidden_size if RATIO * width in space.legal(width)]
    width = max(exact or space.hidden_size)
    inner = min(space.legal(width), key=lambda size: abs(size - RATIO * width))
    layer = (inner, max(space.num_attention_heads))
    return [space.build(width, [layer] * depth) for depth in space.num_hidden_layers]
