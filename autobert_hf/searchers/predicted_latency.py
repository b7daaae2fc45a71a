"""What a search knows of speed: a predictor fitted on measured networks of its space, kept in the run's folder."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import LinearPredictor, held_out
from autobert_hf.lab.measuring.latency_samples import conditions, measure_samples
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.run_folder import read_report, write_json
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


CONFIGURATIONS = 40
NETWORK = "predictor.safetensors"
UNITS = 400  # HAT's; AutoTinyBERT had 2000, for ten thousand measured networks


class LatencyGuide:
    """Predicted time over the reference's, by architecture."""

    def __init__(self, predict: Callable[[Architecture], float]) -> None:
        self.predict = predict

    @classmethod
    def read(cls, run: Path, base: AutoBertConfig, space: AutoTinyBertSpace) -> "LatencyGuide":
        """What `fit_guide` left in the run's folder."""
        if (network := run / "report" / NETWORK).exists():
            predictor = NetworkPredictor.load(network)
            return cls(lambda architecture: predictor.predict_sizes([mean_sizes(architecture)])[0])
        data = read_report(run / "report" / "predictor.json")["predictor"]
        return cls(linear(LinearPredictor.from_dict(data), base, space))

    def __call__(self, architecture: Architecture) -> float:
        return self.predict(architecture)

    def window(self, limit: float, low: float, high: float, some: Iterable[Architecture]) -> tuple[float, float]:
        """
        Between which times a network for this limit may lie: `low` and `high` times the limit (the paper: 0.85 and
        1.10). Where none of `some`, networks of the space, comes that close to it, a window below the slowest of them.
        """
        most = high * limit
        reached = max((time for time in map(self, some) if time <= most), default=limit)
        return low * min(limit, reached), most


def linear(
    predictor: LinearPredictor, base: AutoBertConfig, space: AutoTinyBertSpace
) -> Callable[[Architecture], float]:
    """
    What the predictor is linear in are sums over the layers of products of sizes, so that some dozen configurations
    tell it of all: making one for each draw of a search, at 6 ms, would take longer than everything else.
    """
    drawn = [space.smallest(), space.largest(), *map(space.sample, map(Random, range(CONFIGURATIONS)))]
    times = predictor.predict([architecture.to_config(base) for architecture in drawn])
    weights, *_ = np.linalg.lstsq(np.array([*map(products, drawn)]), np.array(times), rcond=None)
    return lambda architecture: float(weights @ products(architecture))


def mean_sizes(architecture: Architecture) -> tuple[float, float, float, float]:
    """Width, layers, mean feed-forward width, mean attention width."""
    _, width, layers, _, _, attention, inner, _, _ = products(architecture)
    return width, layers, inner / layers, attention / layers


def products(architecture: Architecture) -> np.ndarray:
    """1, width, and sums over the layers of 1, width, heads, attention and feed-forward width, these times width."""
    settings = dict(architecture.settings)
    width, rows = settings["hidden_size"], []
    for layer in architecture.layer_dicts:
        sizes = settings | layer
        heads, inner = sizes["num_attention_heads"], sizes["intermediate_size"]
        attention = heads * sizes["head_dim"]
        rows.append([1, width, heads, attention, inner, width * attention, width * inner])
    return np.array([1, width, *np.sum(rows, axis=0)], dtype=float)


def fit_guide(
    space: AutoTinyBertSpace,
    base: AutoBertConfig,
    reference: PreTrainedModel,
    workload: Workload,
    kind: Literal["linear", "network"],
    samples: int,
    error: float,
    run: Path,
    seed: int,
    team: Accelerator,
) -> None:
    """
    Measures `samples` random networks of the space, its smallest and its largest, once on each machine. A run that
    goes on elsewhere measures again; its trials so far were chosen by other latencies, so they are set aside and the
    search, not the training of the supernet, begins anew.

    Raises:
        NoiseError: if the machine is too noisy; what was measured is kept.
    """
    path, where = run / "report" / "predictor.json", conditions(reference.config, workload)
    if team.is_main_process and read_report(path).get("conditions") != where:
        rng = Random(derive(seed, "latency samples"))
        drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(samples))]
        configs = [architecture.to_config(base) for architecture in drawn]
        ratios = measure_samples(configs, reference, run / "latency" / "samples.jsonl", workload, error=error)

        fit: Any = partial(LinearPredictor.fit, batch=workload.batch, length=workload.length)
        if kind == "network":
            fit = partial(NetworkPredictor.fit, hidden=UNITS)
        tested, predictor = held_out(fit, configs, ratios), fit(configs, ratios)
        set_aside(run)
        data = {"conditions": where, "error": tested.error, "tau": tested.tau, "measured": ratios}
        if kind == "network":
            predictor.save(run / "report" / NETWORK)
        else:
            data["predictor"] = predictor.to_dict()
        write_json(path, data | {"predicted": tested.predicted})
    team.wait_for_everyone()


def set_aside(run: Path) -> None:
    """What followed from the latencies of before goes under other names: trials, and trainings by their numbers."""
    number = len([*run.glob("journal-other-machine-*.jsonl")])
    for name in ("final", "rivals", "report/rivals.json", "journal.jsonl"):  # the last one counts
        path = run / name
        if path.exists():
            path.rename(path.with_name(f"{path.stem}-other-machine-{number}{path.suffix}"))


def check_limits(guide: LatencyGuide, space: AutoTinyBertSpace, limits: list[float], reference: str) -> None:
    """
    Before anything is trained: no time grows when a network shrinks, so the smallest is the fastest.

    Raises:
        LimitError: if it is slower than one of the limits.
    """
    fastest = guide(space.smallest())
    if missed := [limit for limit in limits if limit < fastest]:
        raise LimitError(
            f"No network reaches {', '.join(map(str, missed))} of the time of {reference}: this space's fastest is "
            f"{fastest:.3f}x. Raise --max-latency."
        )
