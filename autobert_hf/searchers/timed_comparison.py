"""Comparison of a found network with its baselines: latencies measured together, and sentence errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.sentence_error import sentence_errors
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.measuring.final_latency import measured_rows, verdict
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.at_latency import untrained
from autobert_hf.searchers.predicted_latency import LimitedLatency
from autobert_hf.searchers.run import Run


@dataclass(frozen=True)
class TimedComparison:
    """
    The comparison for one trial. Latencies are written to `report/latency.json`, the comparison to
    `report/baselines.json`; only the main process measures.
    """

    run: Run
    trial: Trial
    latency: LimitedLatency
    text: Text
    teacher: Teacher | None

    @property
    def limit(self) -> float:
        return self.latency.limit_of(self.trial)

    def record(self, trained: Mapping[str, PreTrainedModel], predicted: Mapping[str, float]) -> None:
        """
        `trained`: models by name, the found one first; `predicted`: their predicted latencies. With baselines, the
        trial of the largest limit is also compared with the baselines that need no training.
        """
        models: dict[str, Any] = dict(trained)
        largest = self.latency.settings.limits_of_latency[0]
        if self.teacher is not None and len(trained) > 1 and self.limit == largest:
            models |= untrained(self.teacher, self.text)
        times = self.measure(models, predicted)
        rows: dict[str, dict[str, float]] = {name: {"time": time} for name, time in times.items()}
        if self.teacher is not None and "labels" not in self.text.held_out[0]:  # sentences, and no masked words
            held_out = self.text.on_device(self.text.held_out)
            for name, error in sentence_errors(models, self.teacher, held_out).items():
                rows.setdefault(name, {})["sentence_error"] = error
        before = read_report(self.run.path / "report" / "baselines.json")
        self.run.record("baselines", before | {str(self.trial.id): {"limit": self.limit, "networks": rows}})

    def measure(self, models: Mapping[str, Any], predicted: Mapping[str, float]) -> dict[str, float]:
        """Relative latency by name (main process only); prints whether the limit is broken, and what to try next."""
        rows: dict[str, Any] = {}
        if self.run.team.is_main:
            bare: dict[str, PreTrainedModel] = {
                self.row(name, predicted): getattr(model, "base_model", model) for name, model in models.items()
            }
            for model in bare.values():  # the implementation used after loading, not in training
                if isinstance(model, AutoBertPreTrainedModel):
                    model.set_attn_implementation("sdpa")
            path = self.run.path / "report" / "latency.json"
            expected = {self.row(name, predicted): time for name, time in predicted.items()}
            reference, workload = (self.latency.reference, self.latency.reference_name), self.latency.settings.workload
            rows = measured_rows(path, bare, expected, *reference, workload, trial=self.trial.id)
            found = rows[next(iter(bare))]
            if broken := verdict(found, self.limit):
                print(f"\n{broken}. {self.next_point(found['ratio'])}", flush=True)  # noqa: T201
        self.run.team.wait()
        return {name: rows[self.row(name, predicted)]["ratio"] for name in models} if rows else {}

    def row(self, name: str, predicted: Mapping[str, float]) -> str:
        """Name of a model in the latency table; baselines without training are the same for all trials."""
        if name not in predicted:
            return name
        return f"trial {self.trial.id}" if name == "found" else f"{name} (trial {self.trial.id})"

    def next_point(self, ratio: float) -> str:
        """Advice: the best candidate that meets the limit even if it is slower than predicted by the same factor."""
        most = self.limit * self.trial.scores["latency"] / ratio
        study = Study.read(self.run.path)
        kept = study.goals.best([trial for trial in study.trials if trial.ok and trial.scores["latency"] <= most])
        if not kept:
            return f"No candidate was predicted below {most:.3f}: search with --max-latency {most:.3f}."
        best = kept[0]
        return (
            f"The next point is trial {best.id}, predicted {best.scores['latency']:.3f}: `autobert select "
            f"{self.run.path} --max-latency {most:.3f} --train` trains it."
        )
