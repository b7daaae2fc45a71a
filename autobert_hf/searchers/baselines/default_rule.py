"""Baseline: BERT's rule of thumb, d_qkv = d_m and d_f = 4 d_m."""

from collections.abc import Callable

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


Score = Callable[[Architecture], float]


def default_rules(space: AutoTinyBertSpace) -> list[Architecture]:
    """All networks in the supernet with d_qkv = d_m and d_f = 4 d_m; widths follow from the heads, not from a grid."""
    heads, dims = max(space.num_attention_heads), max(space.head_dim)
    whole = len(space.num_attention_heads) > 1
    shapes = [(n, dims) for n in space.num_attention_heads] if whole else [(heads, dim) for dim in range(1, dims + 1)]
    found = []
    for number, dim in shapes:
        width = number * dim
        if width <= max(space.hidden_size) and 4 * width <= max(space.intermediate_size):
            sizes = {"num_attention_heads": number, "head_dim": dim, "intermediate_size": 4 * width}
            layers = [[{"layer_type": "full_attention"}] * depth for depth in space.num_hidden_layers]
            found += [Architecture.of(alike, hidden_size=width, **sizes) for alike in layers]
    return found


def slowest_defaults(space: AutoTinyBertSpace, latency: Score, limit: float) -> list[Architecture]:
    """For each number of layers, the slowest network of BERT's rule within the limit."""
    slowest: dict[int, Architecture] = {}
    for one in sorted(default_rules(space), key=latency):
        if latency(one) <= limit:
            slowest[len(one.layers)] = one
    return [*slowest.values()]


def best_default(space: AutoTinyBertSpace, latency: Score, limit: float, loss: Score) -> Architecture | None:
    """The one of `slowest_defaults` with the lowest loss; None if there is none."""
    return min(slowest_defaults(space, latency, limit), key=loss, default=None)
