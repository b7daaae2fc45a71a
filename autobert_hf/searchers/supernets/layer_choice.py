"""Which layers of a pretrained network a shallower one keeps: by the loss on unlabelled text, or by a rule."""

from collections.abc import Callable
from dataclasses import replace

from autobert_hf.modeling.slicing import Cut
from autobert_hf.modeling.subnetwork import Sliceable, SubNetwork


def choose_layers(network: Sliceable, loss: Callable[[SubNetwork], float]) -> dict[int, list[int]]:
    """
    The layers kept for each depth, from all layers down to one. Each step drops the layer whose removal raises the
    loss least, so the layers of a depth are a subset of those of the next larger depth.
    """
    kept = list(range(len(network.cut.layers)))
    table = {len(kept): kept}
    while len(kept) > 1:
        shorter = [[layer for layer in kept if layer != gone] for gone in kept]
        kept = min(shorter, key=lambda layers: loss(network.part(of_layers(network.cut, layers))))
        table[len(kept)] = kept
    return table


def spread_layers(number: int, depth: int) -> list[int]:
    """`number` of `depth` layers, evenly spread (AutoDistil's code): 0, 1, 2, 4, 5, 6, 8, 9, 10 for 9 of 12."""
    return [index * depth // number for index in range(number)]


def of_layers(whole: Cut, layers: list[int]) -> Cut:
    """The cut that keeps these layers of `whole`, in full width."""
    return replace(whole, layers=tuple(whole.layers[layer] for layer in layers))
