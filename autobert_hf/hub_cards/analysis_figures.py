"""Figures of `autobert analyze`, from its plain reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from autobert_hf.hub_cards.figures import BLUE, GREY, ORANGE


OKABE_ITO = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKS = "osD^vPX"
UNIFORMITY = {"residual": "residual norm (0: all tokens equal)", "cosine": "mean cosine of two tokens (1: all equal)"}


def draw_ranking(report: Mapping[str, Any], path: Path) -> None:
    """The inherited score against stand-alone training, and the rank agreement of every score below its ceiling."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained")
    points = report["points"]
    shades = left.scatter(points["inherited"], points["real"], c=points["attention layers"], cmap="cividis", s=18)
    figure.colorbar(shades, ax=left, label="attention layers", ticks=sorted(set(points["attention layers"])))
    left.set_xlabel(f"{report['study']['goal']} of the search, lower is better")
    left.set_ylabel("loss of stand-alone training")
    left.set_title(report["study"]["unit"], fontsize="medium")
    scores = {
        name: found["kendall"] for name, found in report["scores"].items() if found["kendall"]["low"] is not None
    }
    for place, (name, tau) in enumerate(reversed(scores.items())):
        colour = BLUE if name == "inherited" else GREY
        right.plot([tau["low"], tau["high"]], [place, place], color=colour, linewidth=2)
        right.plot(tau["value"], place, marker="o", color=colour)
    right.set_yticks(range(len(scores)), reversed(list(scores)))
    right.axvline(0, color="black", linewidth=0.8)
    if report["ceiling"]:
        right.axvline(report["ceiling"]["kendall"]["value"], color=ORANGE, linestyle="--", label="two seeds (ceiling)")
        right.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    right.set_xlabel("Kendall's tau (95 % interval)")
    _save(figure, path)


def draw_tokens(report: Mapping[str, Any], path: Path) -> None:
    """Token uniformity layer by layer, a line for each model."""
    figure, panels = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained")
    for axes, (key, label) in zip(panels, UNIFORMITY.items(), strict=True):
        for number, (name, layers) in enumerate(report["models"].items()):
            turn, place = divmod(number, len(OKABE_ITO))
            style = {"color": OKABE_ITO[place], "marker": MARKS[place], "linestyle": ("-", "--", ":")[turn % 3]}
            axes.plot(layers[key], markersize=4, label=name, **style)
        axes.set_xlabel("layer (0: embeddings)")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].legend(frameon=False, fontsize="small")
    _save(figure, path)


def draw_interference(reports: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The matrix by operation of each run, then the curves of all runs over the number of differing layers."""
    figure, panels = plt.subplots(1, len(reports) + 1, figsize=(4.6 * (len(reports) + 1), 4.0), layout="constrained")
    lowest = min(min(map(min, report["matrix"])) for report in reports.values())
    for axes, (name, report) in zip(panels, reports.items(), strict=False):
        image = axes.imshow(report["matrix"], vmin=min(lowest, 0.0), vmax=1.0, cmap="cividis")
        names = report["operations"]
        axes.set_xticks(range(len(names)), names, rotation=45)
        axes.set_yticks(range(len(names)), names)
        for i, row in enumerate(report["matrix"]):
            for j, value in enumerate(row):
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.5 else "white")
        axes.set_title(f"{name}: operation of the second layer", fontsize="medium")
    figure.colorbar(image, ax=panels[-2], label="cosine of gradients", shrink=0.8)
    for number, (name, report) in enumerate(reports.items()):
        curve = {int(differing): value for differing, value in report["differences"].items()}
        panels[-1].plot([*curve], [*curve.values()], marker=MARKS[number % 7], color=OKABE_ITO[number % 7], label=name)
    panels[-1].set_xlabel("layers that differ")
    panels[-1].set_ylabel("mean cosine of gradients")
    panels[-1].legend(frameon=False, fontsize="small")
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    plt.close(figure)
