"""Figures of a run as PNG files, readable at the width of a card (about 720 pixels) and for colour-blind eyes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")  # a server has no screen

from matplotlib import pyplot as plt  # noqa: E402 (the backend has to be chosen first)
from matplotlib.axes import Axes  # noqa: E402

from autobert_hf.hub_cards.escape import label  # noqa: E402
from autobert_hf.hub_cards.files import write_whole  # noqa: E402
from autobert_hf.hub_cards.run_reader import QUALITY, Records, found_first, incumbents  # noqa: E402


# Okabe and Ito's palette.
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#7F7F7F"
GREEN, VERMILION, SKY, PURPLE = "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
WIDTH = 7.2  # inches; at 160 dots an inch this is sharp at 720 CSS pixels on dense screens too

AXIS = {
    "task_score": "mean score of the proxy tasks",
    "parameters": "parameters (millions)",
    "flops": "GFLOPs for 128 tokens",
    "latency": "predicted time relative to the reference",
}
SCALE = {"parameters": 1e-6, "flops": 1e-9}


def axis(name: str, unit: str) -> str:
    return AXIS.get(name, f"held-out loss ({unit})")


def draw_curve(records: Records, axes: Axes) -> None:
    """Every candidate's score in the order of the search, and the best so far."""
    numbers = [trial["trial"] for trial in records.done]
    scores = [trial["scores"][records.quality] for trial in records.done]
    best = [trial["scores"][records.quality] for trial in incumbents(records)]
    for number, start in enumerate(records.round_starts):
        name = "next round: weights trained for longer" if number == 0 else None
        axes.axvline(start - 0.5, color=GREY, linewidth=0.8, linestyle=":", label=name)
    axes.scatter(numbers, scores, s=14, color=GREY, linewidths=0, label="candidate")
    axes.step(numbers, best, where="post", color=BLUE, linewidth=2, label="best so far")
    _without_outliers(axes, scores, records.quality)
    axes.set_ylabel(axis(records.quality, records.unit).replace(" (", "\n(").replace(" of the ", "\nof the "))
    legend_above(axes)


def draw_training(training: Mapping[str, Any], unit: str, path: Path) -> None:
    """Final training: this network, what it is compared with, and the loss of word frequencies alone if known."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6), layout="constrained")
    names = {"found": "this network", "bert": "BERT of equal size"}
    styles = zip((BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY), "osD^vP", strict=True)
    for name, (colour, mark) in zip(found_first(training["curves"]), styles, strict=False):
        tokens, losses = zip(*training["curves"][name], strict=True)
        shown = names.get(name, label(name))
        axes.plot([t / 1e6 for t in tokens], losses, color=colour, marker=mark, markersize=4, label=shown)
    if "floor" in training:
        axes.axhline(training["floor"], color=GREY, linestyle="--", label="word frequencies alone")
    axes.set_xlabel("training tokens (millions)")
    axes.set_ylabel(axis("loss", unit))
    legend_above(axes)
    save(figure, path)


def draw_front(records: Records, path: Path) -> None:
    """Candidates by size and score, those that no other beats, and the one that was chosen."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6), layout="constrained")
    scale = SCALE.get(records.size, 1.0)

    def points(trials: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
        return [t["scores"][records.size] * scale for t in trials], [t["scores"][records.quality] for t in trials]

    axes.scatter(*points(records.done), s=14, color=GREY, linewidths=0, label="candidate")
    axes.plot(*points(records.front), color=BLUE, marker="o", drawstyle="steps-post", label="none smaller is better")
    marks = zip("sD^vP", (ORANGE, GREEN, PURPLE, SKY, "black"), strict=True)
    for (name, scores), (mark, colour) in zip(records.baselines.items(), marks, strict=False):
        axes.scatter(*points([{"scores": scores}]), s=50, color=colour, marker=mark, zorder=3, label=label(name))
    axes.scatter(*points([records.chosen]), s=160, color=VERMILION, marker="*", zorder=3, label="this network")
    _without_outliers(axes, points(records.done)[1], records.quality)
    axes.set_xlabel(axis(records.size, records.unit))
    axes.set_ylabel(axis(records.quality, records.unit))
    axes.ticklabel_format(useOffset=False)
    legend_above(axes)
    save(figure, path)


def draw_predicted(rows: list[dict[str, Any]], predictor: Mapping[str, Any], path: Path) -> None:
    """
    Predicted against measured latency: of models, with the measurement's quartiles, and of the random networks that
    the predictor was fitted to, each predicted from the others.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8), layout="constrained")
    samples = predictor.get("predicted", []), predictor.get("measured", [])
    predicted, measured = [row["predicted"] for row in rows], [row["ratio"] for row in rows]
    bars = [[row["ratio"] - row["low"] for row in rows], [row["high"] - row["ratio"] for row in rows]]
    values = [*predicted, *measured, *samples[0], *samples[1]]
    ends = (0.9 * min(values), 1.1 * max(values))
    axes.plot(ends, ends, color=GREY, linestyle="--", label="predicted = measured")
    if samples[0]:
        axes.scatter(*samples, s=20, color=GREY, linewidths=0, label="random networks")
    if rows:
        axes.errorbar(predicted, measured, yerr=bars, color=BLUE, fmt="o", capsize=3, label="models, with quartiles")
    for row in rows[:8]:  # more names than this cannot be read
        axes.annotate(
            label(row["name"]), (row["predicted"], row["ratio"]), xytext=(6, -10), textcoords="offset points"
        )
    axes.set_xlabel("predicted time relative to the reference")
    axes.set_ylabel("measured time\nrelative to the reference")
    legend_above(axes)
    save(figure, path)


def legend_above(axes: Axes) -> None:
    """Where it hides no point."""
    axes.legend(frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def save(figure: plt.Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=160))
    plt.close(figure)


def _without_outliers(axes: Axes, scores: list[float], quality: str) -> None:
    """The worst 5 percent may lie outside: one network that failed to learn would flatten all others."""
    ordered = sorted(scores, reverse=quality != QUALITY[1])
    ends = ordered[0], ordered[int(0.95 * (len(ordered) - 1))]
    margin = 0.08 * (max(ends) - min(ends)) or 0.1
    axes.set_ylim(min(ends) - margin, max(ends) + margin)
