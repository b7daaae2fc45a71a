"""Baseline: whole layers of the teacher, without a search."""

from collections.abc import Callable

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


def deepest_cut(
    space: AutoTinyBertSpace, latency: Callable[[Architecture], float], limit: float
) -> Architecture | None:
    """The deepest network of full width within the limit; None if there is none."""
    largest = space.largest()
    cuts = [Architecture(largest.layers[:depth], largest.settings) for depth in space.num_hidden_layers]
    return max((cut for cut in cuts if latency(cut) <= limit), key=latency, default=None)
