"""The search figure: scores over time and, below, the candidates' kinds of layers or sizes."""

from collections import Counter
from functools import cache
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from autobert_hf.hub_cards.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    WIDTH,
    axis,
    draw_curve,
    legend_above,
    save,
    values,
)
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.modeling.formula import STANDARD_ATTENTION
from autobert_hf.records.architecture import Items
from autobert_hf.records.goals import Goal
from autobert_hf.records.trial import Trial


BINS = 25
# Groups from the bottom up, each with a colour and a pattern (for readers without colour vision).
GROUPS = {
    "conv, kernel up to 5": (SKY, ""),
    "conv, kernel 7 to 15": (BLUE, ""),
    "conv, kernel above 15": (GREEN, "////"),
    "standard attention": (GREY, ""),
    "other attention": (ORANGE, ""),
    "skipped": (PURPLE, "...."),
}


def draw_search(records: RunRecords, path: Path) -> None:
    """Draws scores and, below, the shares of the kinds of layers if there are several, else sizes if known."""
    has_kinds = len({group(layer) for trial in records.trials for layer in trial.architecture.layers}) > 1
    panels = 2 if has_kinds or records.size else 1
    figure, axes = plt.subplots(
        panels, 1, figsize=(WIDTH, 0.9 + 2.25 * panels), sharex=True, squeeze=False, layout="constrained"
    )
    draw_curve(records, axes[0, 0])
    if has_kinds:
        draw_ingredients(records.trials, axes[-1, 0])
    elif records.size:
        draw_sizes(records.done, records.size, axes[-1, 0])
    axes[-1, 0].set_xlabel("candidate, in the order of the search")
    save(figure, path)


def draw_ingredients(trials: list[Trial], axes: Axes) -> None:
    """The share of each kind of layer among the candidates, failed ones included, in bins of equal length."""
    width = max(1, -(-len(trials) // BINS))
    bins = [trials[start : start + width] for start in range(0, len(trials), width)]
    starts = [part[0].id - 0.5 for part in bins]
    widths = [len(part) for part in bins]
    counts = [Counter(group(layer) for trial in part for layer in trial.architecture.layers) for part in bins]
    bottom = [0.0] * len(bins)
    for name, (colour, hatch) in GROUPS.items():
        if not any(count[name] for count in counts):
            continue
        heights = [count[name] / max(count.total(), 1) for count in counts]
        axes.bar(
            starts, heights, widths, bottom, align="edge", color=colour, hatch=hatch, label=name, edgecolor="white"
        )
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of layers\namong candidates")
    legend_above(axes)


def draw_sizes(trials: list[Trial], size: Goal, axes: Axes) -> None:
    """The candidates' sizes in the order of the search."""
    axes.scatter([trial.id for trial in trials], values(size, trials), s=14, color=ORANGE, linewidths=0)
    axes.set_ylabel(axis(size).replace(" (", "\n("))


@cache
def group(items: Items) -> str:
    """The group of a layer."""
    layer = dict(items)
    if "mixer" in layer.get("skip", ()):
        return "skipped"
    if layer["layer_type"] != "conv":
        formula = layer.get("attention_formula", STANDARD_ATTENTION)
        return "standard attention" if formula == STANDARD_ATTENTION else "other attention"
    sizes = {5: "conv, kernel up to 5", 15: "conv, kernel 7 to 15"}
    kernel = layer.get("conv_kernel_size", 0)
    return next((name for most, name in sizes.items() if kernel <= most), "conv, kernel above 15")
