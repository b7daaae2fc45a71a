"""Scores a sub-network with the supernet's weights, without training (AutoTinyBERT, section 3.3)."""

import time
from collections.abc import Callable, Mapping

from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.arithmetic import arithmetic_on
from autobert_hf.searchers.evaluators.candidate_tasks import CandidateTasks
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.supernets.supernet import Supernet


class SupernetLoss(Evaluator):
    """
    Nothing is trained or written back, so rounds have no effect. `predicted`: further scores that need no evaluation,
    such as a predicted `latency`.
    """

    def __init__(
        self,
        supernet: Supernet,
        held_out: HeldOut,
        base: AutoBertConfig,
        predicted: Mapping[str, Callable[[Architecture], float]] | None = None,
        tasks: CandidateTasks | None = None,
    ) -> None:
        self.supernet = supernet
        self.held_out = held_out
        self.arithmetic = arithmetic_on(base)
        self.predicted = predicted or {}
        self.tasks = tasks

    def known(self, architecture: Architecture) -> Scores:
        predicted = {name: predict(architecture) for name, predict in self.predicted.items()}
        return self.arithmetic(architecture) | predicted

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """Held-out `loss`; with proxy tasks their scores."""
        started = time.monotonic()
        scores = {"loss": self.loss(architecture)}
        if self.tasks is not None and self.tasks.specifications:
            scores |= self.tasks.scores(self.supernet.extract(architecture))
        return scores, {"seconds": round(time.monotonic() - started, 3)}

    def noise(self, trial: Trial) -> float | None:
        """Of the held-out loss; None with proxy tasks."""
        has_tasks = self.tasks is not None and self.tasks.specifications
        return None if has_tasks else self.held_out.noise(self.supernet.network(trial.architecture, training=False))

    def loss(self, architecture: Architecture) -> float:
        return self.held_out(self.supernet.network(architecture, training=False))
