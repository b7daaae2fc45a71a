"""A trained supernet with the front of its search, as a checkpoint from which every size can be loaded."""

from collections.abc import Mapping, Sequence
from math import gcd
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from autobert_hf.modeling.machine import machine_name
from autobert_hf.modeling.supernet import AutoBertSuperNet
from autobert_hf.modeling.supernet_space import IN_LAYER, SuperNetSpace
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.supernets.sliced import SlicedSupernet


FOLDER = "supernet/model"  # in the folder of a run


def save_elastic(
    supernet: SlicedSupernet,
    grids: Mapping[str, Sequence[int]],
    study: Study,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    reference: str | None = None,
) -> None:
    """
    Saves the supernet with its current weights. `grids`: the values of each of `SIZES`, ascending; `reference`: the
    network that the latencies of the study are shares of.
    """
    main = study.goals.main
    space = SuperNetSpace(
        box={name: [grid[0], grid[-1], _step(grid)] for name, grid in grids.items()},
        depths={str(depth): list(layers) for depth, layers in supernet.depths.items()},
        front=_points(supernet, study),
        quality={"name": main.name, "unit": main.unit, "direction": main.direction},
        machine=machine_name(),
        reference=reference,
    )
    save_model(AutoBertSuperNet.wrap(supernet.module, space), tokenizer, folder)


def _step(grid: Sequence[int]) -> int:
    return gcd(*(size - grid[0] for size in grid)) or 1


def _points(supernet: SlicedSupernet, study: Study) -> list[dict[str, Any]]:
    """The front from small to large; of two points that would have the same name, the better one."""
    front = sorted(
        study.goals.front([trial for trial in study.trials if trial.ok]), key=lambda one: one.scores["parameters"]
    )
    named = {point_name(trial): trial for trial in sorted(front, key=study.goals.main.value)}
    return [
        {"name": name, "sizes": sizes_of(supernet, trial.architecture), "scores": dict(trial.scores)}
        for name, trial in named.items()
    ]


def point_name(trial: Trial) -> str:
    """How much faster than the reference (`2x`, `3.3x`) or, where that is unknown, the parameters (`5.1M`)."""
    if latency := trial.scores.get("latency"):
        return f"{1 / latency:.2g}x"
    return f"{trial.scores['parameters'] / 1e6:.3g}M"


def sizes_of(supernet: SlicedSupernet, architecture: Architecture) -> dict[str, Any]:
    cut = supernet.cut(architecture)
    each = {name: [layer.sizes[name] for layer in cut.layers] for name in IN_LAYER}
    same = {name: sizes[0] if len(set(sizes)) == 1 else sizes for name, sizes in each.items()}
    return {"num_hidden_layers": len(cut.layers), "hidden_size": cut.hidden_size, **same}
