"""The architecture as a strip: a column for each layer, its mixer below, its feed-forward network above."""

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from autobert_hf.hub_cards.architecture import Layer, Network
from autobert_hf.hub_cards.figures import GREY, ORANGE, PURPLE, SKY, WIDTH, save


LIGHT = "#D9D9D9"
IN_A_ROW = 12
COLOURS = {"conv": SKY, "full_attention": ORANGE, "hybrid": PURPLE}
GAP = 0.08


def draw_architecture(network: Network, path: Path) -> None:
    """Layers from left (next to the embeddings) to right, in rows of a dozen."""
    layers = network.layers
    rows = [layers[start : start + IN_A_ROW] for start in range(0, len(layers), IN_A_ROW)]
    figure, all_axes = plt.subplots(
        len(rows), 1, figsize=(WIDTH, 1.9 * len(rows)), squeeze=False, layout="constrained"
    )
    widest = max(max(layer.inner for layer in layers), 1)
    columns = len(rows[0])
    for row, axes in zip(rows, all_axes[:, 0], strict=True):
        for place, layer in enumerate(row):
            _column(axes, place, layer, widest)
        axes.set_xlim(-0.75, columns + 0.1)
        axes.set_ylim(-0.35, 2.1)
        axes.text(-0.1, 0.5, "mixer", ha="right", va="center", fontsize=8)
        axes.text(-0.1, 1.5, "feed-\nforward", ha="right", va="center", fontsize=8)
        axes.text(-0.1, -0.2, "layer", ha="right", va="center", fontsize=8)
        axes.axis("off")
    save(figure, path)


def _column(axes: Axes, place: int, layer: Layer, widest: int) -> None:
    axes.text(place + 0.5, -0.2, str(layer.number), ha="center", va="center", fontsize=8)
    colour = "none" if layer.skipped else COLOURS[layer.kind]
    _box(axes, place, 0, 1, 1, colour, mixer_text(layer))
    # The box's height is the inner width relative to the widest layer.
    _box(
        axes, place, 1, max(layer.inner / widest, 0.3), 1, LIGHT if layer.inner else "none", f"{layer.inner or 'none'}"
    )


def mixer_text(layer: Layer) -> str:
    if layer.skipped:
        return "none"
    if layer.kind == "conv":
        return f"conv\n{layer.kernel}"
    assert layer.attention is not None
    what = "attn" if layer.attention.is_standard else f"formula\n{layer.attention.number}"
    return f"{what}\n{layer.heads} x {layer.head_dim}" + (f"\nconv {layer.kernel}" if layer.kernel else "")


def _box(axes: Axes, x: float, y: float, height: float, width: float, colour: str, text: str) -> None:
    style = "round,pad=0,rounding_size=0.06"
    corner, size = (x + GAP / 2, y + GAP / 2), (width - GAP, height - GAP)
    edge = GREY if colour == "none" else "black"
    dashes = "--" if colour == "none" else "-"
    axes.add_patch(
        FancyBboxPatch(
            corner, *size, boxstyle=style, facecolor=colour, edgecolor=edge, linestyle=dashes, linewidth=0.8
        )
    )
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=8)
