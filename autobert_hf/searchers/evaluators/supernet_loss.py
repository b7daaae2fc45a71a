"""A sub-network judged with the supernet's weights as they are (AutoTinyBERT, section 3.3)."""

import math
import time
from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator

from autobert_hf.lab.tasks.proxy_task import Task
from autobert_hf.lab.training.trainer import Batch, TrainingError, sparse_prediction, to_device
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits, arithmetic_scores
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.task_scores import task_scores
from autobert_hf.searchers.supernets.sliced import Objective, SlicedSupernet


class HeldOutLoss:
    """The objective's mean over held-out batches; a teacher answers them once."""

    def __init__(self, objective: Objective, batches: Sequence[Batch], accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.losses: list[tuple[int, Callable]] = []
        with torch.no_grad(), accelerator.autocast():
            for batch in batches:
                weight = int((batch["labels"] != -100).sum()) if "labels" in batch else len(batch["input_ids"])
                self.losses.append((weight, objective(to_device(dict(batch), accelerator))))

    @torch.no_grad()
    def __call__(self, network: Callable) -> float:
        """
        Of a (sub-)network in evaluation mode.

        Raises:
            TrainingError: if it is no number.
        """
        with self.accelerator.autocast():
            total = sum(weight * loss(network).item() for weight, loss in self.losses)
        found = total / sum(weight for weight, _ in self.losses)
        if not math.isfinite(found):
            raise TrainingError(f"the held-out loss is {found}: lower the learning rate")
        return found


class SupernetLoss:
    """Scores candidates; nothing is trained and nothing handed back, so that rounds leave no trace."""

    def __init__(
        self,
        supernet: SlicedSupernet,
        held_out: HeldOutLoss,
        latency: Callable[[Architecture], float],
        limits: Limits,
        tasks: Sequence[Task] = (),
        seed: int = 0,
    ) -> None:
        self.supernet = supernet
        self.held_out = held_out
        self.latency = latency
        self.limits = limits
        self.tasks = tasks
        self.seed = seed

    def evaluate(self, trial_id: int, architecture: Architecture) -> tuple[dict[str, float], dict[str, float]]:
        """
        Scores (held-out `loss`, `parameters`, `flops`, predicted `latency`; with proxy tasks their scores) and cost.

        Raises:
            TrainingError: if the candidate breaks a limit, which costs nothing, or its loss is no number.
        """
        started = time.monotonic()
        scores = arithmetic_scores(architecture.to_config(self.supernet.model.config))
        scores["latency"] = self.latency(architecture)
        if broken := self.limits.broken_by(scores):
            raise TrainingError(broken)
        model = self.supernet.model.eval()
        with sparse_prediction(model):
            scores["loss"] = self.held_out(self.supernet.part(architecture))
        if self.tasks:
            candidate = self.supernet.extract(architecture)
            scores |= task_scores(candidate, self.tasks, self.held_out.accelerator, self.seed)
        return scores, {"seconds": round(time.monotonic() - started, 3)}

    def start_round(self, number: int) -> None:
        """All rounds have the same weights."""

    def keep(self, trials: Sequence[Trial], known: int) -> None:
        """Every candidate can be cut out of the supernet again."""

    def end_round(self, number: int, born_parents: Sequence[Trial], journal_lines: int) -> None:
        """Nobody learned anything."""
