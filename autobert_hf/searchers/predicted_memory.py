"""Peak memory prediction in a search: a linear predictor fitted on networks of its space that were measured."""

from collections.abc import Callable
from functools import cached_property, partial
from random import Random
from typing import Any

import numpy as np

from autobert_hf.lab.measuring.latency_predictor import LinearPredictor, held_out
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.peak_memory import profiled_memory
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import read_record
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.predicted_latency import linear, products
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.space import Space


REPORT = "memory-predictor"


class PredictedMemory:
    """
    Predicted peak memory of an architecture in megabytes. Call `measure` first: it measures `samples` random networks
    of the space, its smallest and its largest, and saves the predictor in the run's folder.
    """

    def __init__(self, run: Run, space: Space, base: AutoBertConfig, workload: Workload, samples: int) -> None:
        self.run = run
        self.space = space
        self.base = base
        self.workload = workload
        self.samples = samples

    def __call__(self, architecture: Architecture) -> float:
        return self._predict(architecture)

    @cached_property
    def _predict(self) -> Callable[[Architecture], float]:
        data = read_record(self.run.path / "report" / f"{REPORT}.json")["predictor"]
        return linear(LinearPredictor.from_dict(data), self.base, self.space, extents)

    def measure(self) -> None:
        self.run.once(REPORT, self._fit)

    def _fit(self) -> dict[str, Any]:
        rng = Random(derive(self.run.seed, "memory samples"))
        drawn = [self.space.smallest(), self.space.largest(), *(self.space.sample(rng) for _ in range(self.samples))]
        configs = [architecture.to_config(self.base) for architecture in drawn]
        measured = [profiled_memory(untrained(config), self.workload) for config in configs]
        work = self.workload
        fit = partial(LinearPredictor.fit, batch=work.batch, length=work.length, quantity="memory")
        tested, predictor = held_out(fit, configs, measured), fit(configs, measured)
        found = {"error": tested.error, "tau": tested.tau, "measured": measured, "predicted": tested.predicted}
        return found | {"predictor": predictor.to_dict()}


def extents(architecture: Architecture) -> np.ndarray:
    """(11,): `products`, the widest feed-forward layer, the widest attention."""
    settings, layers = dict(architecture.settings), architecture.layer_dicts
    sizes = [settings | layer for layer in layers]
    inner = max(layer["intermediate_size"] for layer in sizes)
    attention = max(layer["num_attention_heads"] * layer["head_dim"] for layer in sizes)
    return np.array([*products(architecture), inner, attention], dtype=float)
