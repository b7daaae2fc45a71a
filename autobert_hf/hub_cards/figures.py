"""Figures of a run as PNG files, readable at the width of a card (about 720 pixels) and without colour vision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")  # works without a display

from matplotlib import pyplot as plt  # noqa: E402 (the backend has to be chosen first)
from matplotlib.axes import Axes  # noqa: E402

from autobert_hf.hub_cards.escape import label  # noqa: E402
from autobert_hf.hub_cards.run_reader import RunRecords, found_first  # noqa: E402
from autobert_hf.records.files import write_whole  # noqa: E402
from autobert_hf.records.goals import Goal  # noqa: E402
from autobert_hf.records.trial import Trial  # noqa: E402


# Okabe and Ito's palette.
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#7F7F7F"
GREEN, VERMILION, SKY, PURPLE = "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
WIDTH = 7.2  # inches; at 160 dots an inch this is sharp at 720 CSS pixels on dense screens too

# Scores with large values: scale factor, and label of the axis.
SCALED = {"parameters": (1e-6, "parameters (millions)"), "flops": (1e-9, "GFLOPs for a row of 128 tokens")}


SCALED |= {
    f"{part}_parameters": (1e-6, f"{part.replace('_', '-')} parameters\n(millions)")
    for part in ("decoder", "total", "attention", "feed_forward", "embedding")
}


def axis(goal: Goal) -> str:
    return SCALED[goal.name][1] if goal.name in SCALED else with_unit(goal.label, goal.unit)


def with_unit(what: str, unit: str) -> str:
    return f"{label(what)} ({label(unit)})" if unit else label(what)


def values(goal: Goal, trials: Sequence[Trial]) -> list[float]:
    """The scores in the unit of the axis."""
    return scores_of(goal, [trial.scores for trial in trials])


def scores_of(goal: Goal, rows: Sequence[Mapping[str, float]]) -> list[float]:
    scale, _ = SCALED.get(goal.name, (1.0, ""))
    return [scores[goal.name] * scale for scores in rows]


def draw_curve(records: RunRecords, axes: Axes) -> None:
    """Every candidate's score in the order of the search, and the best so far."""
    numbers, scores = [trial.id for trial in records.done], values(records.main, records.done)
    best = values(records.main, records.incumbents)
    if records.new_weights:
        starts, name = [number - 0.5 for number in records.new_weights], "shared weights trained further"
        height = axes.get_xaxis_transform()  # from 0, the bottom, to 1, the top
        axes.vlines(starts, 0, 1, colors=GREY, linestyles=":", label=name, transform=height, linewidth=0.8)
    axes.scatter(numbers, scores, s=14, color=GREY, linewidths=0, label="candidate")
    axes.step(numbers, best, where="post", color=BLUE, linewidth=2, label="best so far")
    _without_outliers(axes, scores, records.main)
    axes.set_ylabel(axis(records.main).replace(" (", "\n("))
    legend_above(axes)


def draw_training(training: Mapping[str, Any], path: Path) -> None:
    """Final training: this network, its baselines and, if known, the loss of token frequencies alone."""
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
    axes.set_ylabel(with_unit("held-out loss", training["unit"]))
    legend_above(axes)
    save(figure, path)


def draw_front(records: RunRecords, size: Goal, path: Path) -> None:
    """Candidates by size and score, with the Pareto front and the chosen one."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6), layout="constrained")

    def points(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
        return values(size, trials), values(records.main, trials)

    # Between two points, the best known score is that of the cheaper one.
    steps = "steps-post" if size.direction == "minimize" else "steps-pre"
    axes.scatter(*points(records.done), s=14, color=GREY, linewidths=0, label="candidate")
    axes.plot(*points(records.front), color=BLUE, marker="o", drawstyle=steps, label="Pareto front")
    axes.scatter(*points([records.chosen]), s=160, color=VERMILION, marker="*", zorder=3, label="this network")
    _without_outliers(axes, points(records.done)[1], records.main)
    axes.set_xlabel(axis(size))
    axes.set_ylabel(axis(records.main))
    axes.ticklabel_format(useOffset=False)
    legend_above(axes)
    save(figure, path)


def draw_predicted(rows: list[dict[str, Any]], predictor: Mapping[str, Any], path: Path) -> None:
    """
    Predicted against measured latency: of models, with the measurement's quartiles, and of the random networks that
    the predictor was fitted on, each predicted by cross-validation.
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
    """Places the legend above the axes, where it hides no point."""
    axes.legend(frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def save(figure: plt.Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=160))
    plt.close(figure)


def _without_outliers(axes: Axes, scores: list[float], goal: Goal) -> None:
    """Lets the worst 5 percent lie outside, since one network that failed to learn would flatten all others."""
    ordered = sorted(scores, reverse=goal.direction == "maximize")
    ends = ordered[0], ordered[int(0.95 * (len(ordered) - 1))]
    margin = 0.08 * (max(ends) - min(ends)) or 0.1
    axes.set_ylim(min(ends) - margin, max(ends) + margin)
