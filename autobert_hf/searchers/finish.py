"""What becomes of a candidate that was found: more training, an error beside its floor, a measured time."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.final_latency import measured_rows, verdict
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.lab.training.final import Curve, run_and_record
from autobert_hf.lab.training.trainer import sparse_prediction
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.trial import Trial, read_trials
from autobert_hf.searchers.baselines.tiny import sentence_errors
from autobert_hf.searchers.evaluators.supernet_loss import HeldOutLoss
from autobert_hf.searchers.lesson import Lesson
from autobert_hf.searchers.objective_trainer import ObjectiveTrainer
from autobert_hf.searchers.run import Job


class Finish:
    """Of one trial; its figures go to `report/<record>.json`."""

    def __init__(self, job: Job, lesson: Lesson, trial: Trial, record: str) -> None:
        self.job = job
        self.lesson = lesson
        self.trial = trial
        self.record = record

    def train(self, name: str, model: PreTrainedModel) -> Curve:
        """With the supernet's objective, from the weights that the model has."""
        job = self.job
        objective = self.lesson.objective_of(model)
        trainer = ObjectiveTrainer(model, objective, job.recipe(job.settings.final_tokens), job.accelerator)
        held_out = HeldOutLoss(objective, job.held_out, job.accelerator)

        def loss() -> float:
            with sparse_prediction(model.eval()):
                return held_out(model)

        checkpoint = job.path / "final" / f"{name}-{self.trial.id:06d}.safetensors"
        curve = run_and_record(trainer, job.batches, loss, checkpoint, f"training {name}")
        model.eval()
        return curve

    def report(self, models: Mapping[str, PreTrainedModel], curves: Mapping[str, Curve]) -> None:
        """A distillation has a report of its own, with errors beside the linear floor, since its loss has no unit."""
        parameters = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
        data = {"curves": curves, "parameters": parameters, "inherited_tokens": 0}
        if self.lesson.teacher is None:
            self.job.record(self.record, data | {"floor": self.job.corpus.floor})
            return
        floor = self.lesson.floor()
        errors = {name: self.lesson.relative_error(model) for name, model in models.items()}
        name = self.record.replace("training", "distillation")
        self.job.record(name, data | {"linear_floor": floor, "errors": errors})

    def measure(
        self,
        models: Mapping[str, PreTrainedModel],
        predicted: Mapping[str, float],
        reference: tuple[PreTrainedModel, str],
        workload: Workload,
        limit: float,
    ) -> dict[str, float]:
        """
        Times over the reference's, together and added to report/latency.json. Says where the first of the models
        breaks the limit, and which candidate comes next. Only the first process measures and knows.
        """
        rows: dict[str, Any] = {}
        if self.job.is_main:
            bare: dict[str, Any] = {name: getattr(model, "base_model", model) for name, model in models.items()}
            for model in bare.values():  # the attention that it will be loaded with, not the one that trains best
                if isinstance(model, AutoBertPreTrainedModel):
                    model.set_attn_implementation("sdpa")
            path = self.job.path / "report" / "latency.json"
            rows = measured_rows(path, bare, predicted, *reference, workload, trial=self.trial.id)
            first = rows[next(iter(models))]
            if broken := verdict(first, limit):
                print(f"\n{broken}. {self.next_point(first['ratio'], limit)}", flush=True)  # noqa: T201
        self.job.accelerator.wait_for_everyone()
        return {name: rows[name]["ratio"] if rows else 0.0 for name in models}

    def compare(self, models: Mapping[str, Any], times: Mapping[str, float], limit: float) -> None:
        """Found network and rivals beside each other in report/rivals.json, by trial."""
        rows = {name: {"time": times[name]} for name in models}
        if self.lesson.teacher is not None:
            held_out = self.lesson.device(self.job.held_out)
            for name, error in sentence_errors(models, self.lesson.teacher, held_out).items():
                rows[name]["sentence_error"] = error
        before = read_report(self.job.path / "report" / "rivals.json")
        self.job.record("rivals", before | {str(self.trial.id): {"limit": limit, "networks": rows}})

    def next_point(self, ratio: float, limit: float) -> str:
        """The best candidate that keeps the limit even if it is as much slower than predicted."""
        most = limit * self.trial.scores["latency"] / ratio
        trials = read_trials(self.job.path / "journal.jsonl")
        within = self.job.goals.best([trial for trial in trials if trial.ok and trial.scores["latency"] <= most])
        if not within:
            return f"No candidate was predicted below {most:.3f}: search with --max-latency {most:.3f}."
        best = within[0]
        return (
            f"The next point is trial {best.id}, predicted {best.scores['latency']:.3f}: `autobert select "
            f"{self.job.path} --max-latency {most:.3f} --train` trains it."
        )
