"""Quality over time: students and baselines of `students.py`, a point for each training, lines through the means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib


matplotlib.use("Agg")  # a server has no screen

from matplotlib import pyplot as plt  # noqa: E402 (the backend has to be chosen first)


# Okabe and Ito's palette, readable for colour-blind eyes; a mark for each too.
STYLES = {"found": ("#0072B2", "o"), "default rule": ("#E69F00", "s"), "cut": ("#009E73", "^")}
UNTRAINED = {"teacher": ("#000000", "*"), "teacher in int8": ("#D55E00", "D"), "static table": ("#7F7F7F", "X")}


def draw_students(result: Mapping[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, (colour, mark) in STYLES.items():
        rows = [row for row in result["limits"].values() if name in row["scores"]]
        for row in rows:
            axes.plot(_medians(row["time"][name]), row["scores"][name], mark, color=colour, alpha=0.35, markersize=4)
        means = sorted((fmean(_medians(row["time"][name])), fmean(row["scores"][name])) for row in rows)
        axes.plot(*zip(*means, strict=True), color=colour, marker=mark, label=name)
    for name, (colour, mark) in UNTRAINED.items():
        row = result["untrained"][name]
        axes.plot(_medians(row["time"]), [row["score"]], mark, color=colour, markersize=8, label=name)
    axes.set_xlabel("time over the teacher's")
    axes.set_ylabel("Spearman on STS-B dev")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def _medians(times: Sequence[Mapping[str, float]]) -> list[float]:
    return [time["median"] for time in times]
