"""The incumbent's true value over the evaluations, one panel for each additive share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from planted_search import Incumbents, at


matplotlib.use("Agg")  # a server has no screen

from matplotlib import pyplot as plt  # noqa: E402 (the backend has to be chosen first)


# Okabe and Ito's palette, readable for colour-blind eyes.
COLOURS = {"random": "#7F7F7F", "evolution": "#E69F00", "op-nas": "#0072B2", "unscored": "#009E73"}


def draw_curves(found: Mapping[float, Mapping[str, Sequence[Incumbents]]], evaluations: int, path: Path) -> None:
    figure, panels = plt.subplots(
        1, len(found), figsize=(2.9 * len(found) + 0.6, 3.4), layout="constrained", sharey=True, squeeze=False
    )
    at_numbers = range(min(25, evaluations), evaluations + 1, 5)
    for axes, (share, methods) in zip(panels[0], found.items(), strict=True):
        for name, searches in methods.items():
            values = np.array([[at(search, n) for n in at_numbers] for search in searches])
            observed, true = values.mean(0).T
            error = 1.96 * values[..., 1].std(0) / len(searches) ** 0.5
            axes.plot(at_numbers, true, color=COLOURS[name], label=f"{name}, true value")
            axes.fill_between(at_numbers, true - error, true + error, color=COLOURS[name], alpha=0.2, linewidth=0)
            axes.plot(at_numbers, observed, color=COLOURS[name], linestyle=":", label=f"{name}, observed")
        axes.set_title(f"additive share {share:g} (n = {len(searches)})", fontsize=10)
        axes.set_xlabel("evaluations")
    panels[0][0].set_ylabel("incumbent (sd of random networks)")
    panels[0][0].legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    plt.close(figure)
