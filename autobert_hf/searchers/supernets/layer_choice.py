"""Which layers of a pretrained network a shallower one keeps: seen on unlabelled text, not the first ones."""

from collections.abc import Callable
from dataclasses import replace

from autobert_hf.modeling.slicing import Cut
from autobert_hf.modeling.subnetwork import Sliceable, SubNetwork


def choose_layers(network: Sliceable, loss: Callable[[SubNetwork], float]) -> dict[int, list[int]]:
    """
    Depth -> layers, from all of them down to one: each time the layer goes whose absence hurts the loss least. So the
    layers of a depth are among those of the next.
    """
    kept = list(range(len(network.cut.layers)))
    table = {len(kept): kept}
    while len(kept) > 1:
        shorter = [[layer for layer in kept if layer != gone] for gone in kept]
        kept = min(shorter, key=lambda layers: loss(network.part(of_layers(network.cut, layers))))
        table[len(kept)] = kept
    return table


def of_layers(whole: Cut, layers: list[int]) -> Cut:
    """The cut in full width."""
    return replace(whole, layers=tuple(whole.layers[layer] for layer in layers))
