"""Figures of a run as PNG files, readable at the width of a card and for colour-blind eyes."""

from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")  # a server has no screen

from matplotlib import pyplot as plt  # noqa: E402 (the backend has to be chosen first)


# Okabe and Ito's palette.
BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "#7F7F7F"
SIZE = (7.0, 3.6)


def draw_search(trials: list[dict[str, Any]], path: Path) -> None:
    """Every candidate's held-out loss in the order of the search, and the best so far."""
    done = [trial for trial in trials if trial["status"] == "done"]
    numbers, losses = [t["trial"] for t in done], [t["scores"]["loss"] for t in done]
    best = [min(losses[: i + 1]) for i in range(len(losses))]
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    axes.scatter(numbers, losses, s=14, color=GREY, label="candidate")
    axes.step(numbers, best, where="post", color=BLUE, linewidth=2, label="best so far")
    low, high = min(losses), sorted(losses)[int(0.95 * (len(losses) - 1))]
    margin = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel("candidate")
    axes.set_ylabel("held-out loss (nats per masked token)")
    axes.legend(frameon=False)
    _save(figure, path)


def draw_training(training: dict[str, Any], path: Path) -> None:
    """Final training: the found network, the BERT of equal size, and the loss of word frequencies alone."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    for name, label, colour, mark in (("found", "found network", BLUE, "o"), ("bert", "BERT", ORANGE, "s")):
        tokens, losses = zip(*training["curves"][name], strict=True)
        axes.plot([t / 1e6 for t in tokens], losses, color=colour, marker=mark, markersize=4, label=label)
    axes.axhline(training["floor"], color=GREY, linestyle="--", label="word frequencies alone")
    axes.set_xlabel("training tokens (millions)")
    axes.set_ylabel("held-out loss (nats per masked token)")
    axes.legend(frameon=False)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    plt.close(figure)
