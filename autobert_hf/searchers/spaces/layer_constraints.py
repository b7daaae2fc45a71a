"""Which layers an architecture of the AutoBERT-Zero space must have: the paper's other searched networks (Table 2)."""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from autobert_hf.records.architecture import Architecture


RUN = 3  # consecutive layers of one kind


def in_a_row(architecture: Architecture, kind: str) -> int:
    """The longest row of layers of this kind."""
    kinds = [layer["layer_type"] for layer in architecture.layer_dicts]
    return max((len([*row]) for found, row in groupby(kinds) if found == kind), default=0)


def kernels(architecture: Architecture) -> list[int]:
    return [layer["conv_kernel_size"] for layer in architecture.layer_dicts if layer["layer_type"] == "conv"]


def never_fall(sizes: Sequence[int]) -> bool:
    return all(before <= after for before, after in pairwise(sizes))


CONSTRAINTS: dict[str, Callable[[Architecture], bool]] = {
    "none": lambda architecture: True,
    "att": lambda architecture: in_a_row(architecture, "full_attention") >= RUN,
    "conv": lambda architecture: in_a_row(architecture, "conv") >= RUN,
    "no-desc": lambda architecture: never_fall(kernels(architecture)),
}


def arranged(architecture: Architecture, constraint: str) -> Architecture:
    """With its kernels in rising order for `no-desc`, which random ones almost never are; else unchanged."""
    if constraint != "no-desc":
        return architecture
    rising = iter(sorted(kernels(architecture)))
    layers = [
        layer | {"conv_kernel_size": next(rising)} if layer["layer_type"] == "conv" else layer
        for layer in architecture.layer_dicts
    ]
    return Architecture.of(layers)
