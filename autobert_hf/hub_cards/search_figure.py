"""What a search tried: scores over time, and below them what the candidates were made of."""

from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from autobert_hf.hub_cards.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SCALE,
    SKY,
    WIDTH,
    axis,
    draw_curve,
    legend_above,
    save,
)
from autobert_hf.hub_cards.run_reader import Records, Trial
from autobert_hf.modeling.formula import STANDARD_ATTENTION


BINS = 25
# Groups from the bottom up, each with its colour and a pattern for who sees no colours.
GROUPS = {
    "conv, kernel up to 5": (SKY, ""),
    "conv, kernel 7 to 15": (BLUE, ""),
    "conv, kernel above 15": (GREEN, "////"),
    "standard attention": (GREY, ""),
    "other attention": (ORANGE, ""),
    "skipped": (PURPLE, "...."),
}


def draw_search(records: Records, path: Path) -> None:
    figure, (above, below) = plt.subplots(2, 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained")
    draw_curve(records, above)
    kinds = {group(layer) for trial in records.trials for layer in trial["architecture"]["layers"]}
    if len(kinds) > 1:
        draw_ingredients(records.trials, below)
    else:
        draw_sizes(records, below)
    below.set_xlabel("candidate, in the order of the search")
    save(figure, path)


def draw_ingredients(trials: list[Trial], axes: Axes) -> None:
    """The share of each kind of layer among the candidates, failed ones included, in bins of equal length."""
    width = max(1, -(-len(trials) // BINS))
    bins = [trials[start : start + width] for start in range(0, len(trials), width)]
    starts = [part[0]["trial"] - 0.5 for part in bins]
    widths = [len(part) for part in bins]
    counts = [Counter(group(layer) for t in part for layer in t["architecture"]["layers"]) for part in bins]
    bottom = [0.0] * len(bins)
    for name, (colour, hatch) in GROUPS.items():
        if not any(count[name] for count in counts):
            continue
        heights = [count[name] / count.total() for count in counts]
        axes.bar(
            starts, heights, widths, bottom, align="edge", color=colour, hatch=hatch, label=name, edgecolor="white"
        )
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of layers\namong candidates")
    legend_above(axes)


def draw_sizes(records: Records, axes: Axes) -> None:
    """Where all layers are of one kind: how large the candidates were."""
    numbers = [trial["trial"] for trial in records.done]
    sizes = [trial["scores"][records.size] * SCALE.get(records.size, 1.0) for trial in records.done]
    axes.scatter(numbers, sizes, s=14, color=ORANGE, linewidths=0)
    axes.set_ylabel(axis(records.size, records.unit).replace(" relative", "\nrelative"))


def group(layer: dict[str, Any]) -> str:
    """The group of a layer as a journal writes it."""
    if "mixer" in layer.get("skip", ()):
        return "skipped"
    if layer["layer_type"] != "conv":
        formula = layer.get("attention_formula", STANDARD_ATTENTION)
        return "standard attention" if formula == STANDARD_ATTENTION else "other attention"
    sizes = {5: "conv, kernel up to 5", 15: "conv, kernel 7 to 15"}
    kernel = layer.get("conv_kernel_size", 0)
    return next((name for most, name in sizes.items() if kernel <= most), "conv, kernel above 15")
