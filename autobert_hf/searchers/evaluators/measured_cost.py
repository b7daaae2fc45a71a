"""Scores that need no training: of the architecture alone, and measured on a network with random weights."""

import time
from collections.abc import Callable, Mapping

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores


class MeasuredCost(Evaluator):
    """
    `known` gives scores of an architecture on `base`, such as sizes and a predicted latency; `measures` gives the
    others, by name, of the network without head. `exclusive`: whether one of them must have the machine to itself.
    """

    def __init__(
        self,
        base: AutoBertConfig,
        known: Callable[[Architecture], Scores],
        measures: Mapping[str, Callable[[PreTrainedModel], float]],
        exclusive: bool = True,
    ) -> None:
        self.base = base
        self.scores_of = known
        self.measures = measures
        self.exclusive = exclusive

    def known(self, architecture: Architecture) -> Scores:
        return self.scores_of(architecture)

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        started = time.monotonic()
        model = untrained(architecture.to_config(self.base)).eval() if self.measures else None
        scores = {name: measure(model) for name, measure in self.measures.items()} if model is not None else {}
        return scores, {"seconds": round(time.monotonic() - started, 3)}
