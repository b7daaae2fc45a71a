"""The front of a search with three goals or more: a panel for each pair of them."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from autobert_hf.hub_cards.figures import BLUE, GREY, ORANGE, VERMILION, WIDTH, axis, save, scores_of
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.records.goals import Goal


COLUMNS = 3
Rows = Sequence[Mapping[str, float]]


def draw_fronts(records: RunRecords, path: Path) -> None:
    """Candidates, those on the front, baselines and this network; a point of the front may be beaten in one panel."""
    pairs = list(combinations(records.axes, 2))
    rows = -(-len(pairs) // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(WIDTH, 0.4 + 2.5 * rows), squeeze=False, layout="constrained")
    panels = list(grid.flat)
    for axes, (up, along) in zip(panels, pairs, strict=False):
        _draw_pair(records, along, up, axes)
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    save(figure, path)


def _draw_pair(records: RunRecords, along: Goal, up: Goal, axes: Axes) -> None:
    def points(rows: Rows) -> tuple[list[float], list[float]]:
        return scores_of(along, rows), scores_of(up, rows)

    front = {trial.id for trial in records.front}
    others = [trial.scores for trial in records.done if trial.id not in front]
    best = [trial.scores for trial in records.front]
    axes.scatter(*points(others), s=8, color=GREY, linewidths=0, alpha=0.5, label="candidate")
    axes.scatter(*points(best), s=16, color=BLUE, linewidths=0, label="on the front")
    if records.scaled:
        scaled = points([*records.scaled.values()])
        axes.plot(*scaled, color=ORANGE, marker="s", markersize=4, linewidth=1, label="baseline")
    chosen = points([records.as_measured(records.chosen).scores])
    axes.scatter(*chosen, s=130, color=VERMILION, marker="*", zorder=3, label="this network")
    axes.set_xlabel(axis(along))
    axes.set_ylabel(axis(up).replace(" (", "\n("))
