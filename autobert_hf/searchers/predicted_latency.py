"""Latency prediction in a search: a predictor fitted on measured networks of its space, kept in the run's folder."""

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import LinearPredictor, held_out
from autobert_hf.lab.measuring.latency_samples import conditions, largest_error, measure_samples
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import read_journal
from autobert_hf.records.json_files import read_record, write_record
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.latency import LatencySettings, MeasuringSettings, WindowSettings
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.space import Space


CONFIGURATIONS = 40
NETWORK = "predictor.safetensors"
UNITS = 400  # hidden units, as in HAT; AutoTinyBERT used 2000, with ten thousand measured networks


class PredictedLatency:
    """
    Predicted latency of an architecture, relative to the reference's; `kind` is that of the predictor, `linear` or
    `network`. Call `measure` first, once on each machine: it saves the predictor in the run's folder.
    """

    settings: MeasuringSettings

    def __init__(
        self,
        run: Run,
        space: Space,
        base: AutoBertConfig,
        reference: tuple[PreTrainedModel, str],
        settings: MeasuringSettings,
        kind: str = "linear",
    ) -> None:
        self.run = run
        self.space = space
        self.base = base
        self.reference, self.reference_name = reference
        self.settings = settings
        self.kind = kind

    def __call__(self, architecture: Architecture) -> float:
        return self.predict(architecture)

    @cached_property
    def predict(self) -> Callable[[Architecture], float]:
        if (network := self.run.path / "report" / NETWORK).exists():
            predictor = NetworkPredictor.load(network)
            return lambda architecture: predictor.predict_sizes([mean_sizes(architecture)])[0]
        data = read_record(self.run.path / "report" / "predictor.json")["predictor"]
        return linear(LinearPredictor.from_dict(data), self.base, self.space)

    def measure(self) -> None:
        """
        Measures random networks of the space, its smallest and its largest, and fits the predictor. A run resumed on
        another machine measures again. Its earlier trials were selected by other latencies, so they are set aside and
        the search starts again; the supernet is not retrained.

        Raises:
            LimitError: if even the fastest network is slower than one of the limits.
        """
        path = self.run.path / "report" / "predictor.json"
        where = conditions(self.reference.config, self.settings.workload)
        if self.run.team.is_main and read_report(path).get("conditions") != where:
            self._fit(path, where)
        self.run.team.wait()
        self._check_limits()

    def _fit(self, path: Path, where: dict[str, Any]) -> None:
        s, space = self.settings, self.space
        rng = Random(derive(self.run.seed, "latency samples"))
        drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(s.latency_samples))]
        configs = [architecture.to_config(self.base) for architecture in drawn]
        samples = self.run.path / "latency" / "samples.jsonl"
        known = read_journal(samples)
        ratios = measure_samples(configs, self.reference, samples, s.workload, error=s.latency_error)
        # Without a predictor, and with nothing measured anew, the lost one is made again: its trials stay.
        is_lost_one = not path.exists() and known == read_journal(samples) and known[-1]["conditions"] == where
        fit: Any = partial(LinearPredictor.fit, batch=s.workload.batch, length=s.workload.length)
        if self.kind == "network":
            fit = partial(NetworkPredictor.fit, hidden=UNITS)
        tested, predictor = held_out(fit, configs, ratios), fit(configs, ratios)
        if not is_lost_one:
            set_aside(self.run.path)
        largest = largest_error(configs, self.reference, samples, s.workload)
        data = {"conditions": where, "error": tested.error, "tau": tested.tau, "measured": ratios}
        data |= {"largest_measuring_error": largest}
        if self.kind == "network":
            predictor.save(self.run.path / "report" / NETWORK)
        else:
            data["predictor"] = predictor.to_dict()
        write_record(path, data | {"predicted": tested.predicted})

    def _check_limits(self) -> None:
        """Runs before any training. The smallest network is the fastest: no prediction grows when a size shrinks."""
        fastest = self(self.space.smallest())
        if missed := [limit for limit in self.settings.limits_of_latency if limit < fastest]:
            raise LimitError(
                f"No network reaches {', '.join(map(str, missed))} of the time of {self.reference_name}: this space's "
                f"fastest is {fastest:.3f}x. Raise --max-latency."
            )


class LimitedLatency(PredictedLatency):
    """With the limits that candidates have to meet."""

    settings: LatencySettings

    def limit_of(self, trial: Trial) -> float:
        """The tightest limit that the candidate meets; the loosest one if it meets none."""
        limits = self.settings.limits_of_latency
        kept = [limit for limit in limits if trial.scores["latency"] <= self.settings.slack * limit]
        return min(kept, default=limits[0])


class WindowedLatency(LimitedLatency):
    """With the latency windows of AutoTinyBERT around the limits."""

    settings: WindowSettings

    def window(self, limit: float, samples: Iterable[Architecture]) -> tuple[float, float]:
        """
        Lowest and highest relative latency of a network for this limit (the paper: 0.85 and 1.10 times the limit). If
        all `samples` (networks of the space) are faster than the limit, the window starts from the slowest of them.
        """
        low, most = self.settings.window_low, self.settings.window_high * limit
        reached = max((time for time in map(self, samples) if time <= most), default=limit)
        return low * min(limit, reached), most


def linear(
    predictor: LinearPredictor,
    base: AutoBertConfig,
    space: Space,
    sizes_of: Callable[[Architecture], np.ndarray] | None = None,
) -> Callable[[Architecture], float]:
    """
    The predictor as a linear function of `sizes_of` (default: `products`), fitted on a few dozen configurations: its
    features are sums over layers of products of sizes. Building a configuration for every draw (6 ms each) would
    dominate the search time.
    """
    drawn = [space.smallest(), space.largest(), *map(space.sample, map(Random, range(CONFIGURATIONS)))]
    times = predictor.predict([architecture.to_config(base) for architecture in drawn])
    sizes_of = sizes_of or products
    weights, *_ = np.linalg.lstsq(np.array([*map(sizes_of, drawn)]), np.array(times), rcond=None)
    return lambda architecture: float(weights @ sizes_of(architecture))


def mean_sizes(architecture: Architecture) -> tuple[float, float, float, float]:
    """Width, layers, mean feed-forward width, mean attention width."""
    _, width, layers, _, _, attention, inner, _, _ = products(architecture)
    return width, layers, inner / layers, attention / layers


def products(architecture: Architecture) -> np.ndarray:
    """(9,): 1, width; summed over layers: 1, width, heads, attention and feed-forward width, and both times width."""
    settings = dict(architecture.settings)
    width, rows = settings["hidden_size"], []
    for layer in architecture.layer_dicts:
        sizes = settings | layer
        heads, inner = sizes["num_attention_heads"], sizes["intermediate_size"]
        attention = heads * sizes["head_dim"]
        rows.append([1, width, heads, attention, inner, width * attention, width * inner])
    return np.array([1, width, *np.sum(rows, axis=0)], dtype=float)


def start_again_elsewhere(run: Run, reference: PreTrainedModel, settings: MeasuringSettings) -> None:
    """
    For searches whose candidates are measured themselves: where the machine, the reference or the workload is not that
    of the trials so far, these are set aside and the search starts again. Call it before the study.
    """
    path, where = run.path / "report" / "measuring.json", conditions(reference.config, settings.workload)
    before = read_report(path).get("conditions")
    if run.team.is_main and before != where:
        if before is not None:
            set_aside(run.path)
            for name in ("smallest", "memory", "measured-front"):
                (run.path / "report" / f"{name}.json").unlink(missing_ok=True)
        run.record("measuring", {"conditions": where})
    run.team.wait()


def set_aside(run: Path) -> None:
    """Renames all that depends on the old machine's latencies: the journal, final trainings and baselines."""
    number = len([*run.glob("journal-other-machine-*.jsonl")])
    for name in ("final", "baselines", "report/baselines.json", "journal.jsonl"):  # journal last: it is counted
        path = run / name
        if path.exists():
            path.rename(path.with_name(f"{path.stem}-other-machine-{number}{path.suffix}"))
