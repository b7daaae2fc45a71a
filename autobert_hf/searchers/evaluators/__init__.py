"""Evaluators by name."""

from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.evaluators.function import FunctionEvaluator
from autobert_hf.searchers.evaluators.measured_cost import MeasuredCost
from autobert_hf.searchers.evaluators.stand_alone import StandAlone
from autobert_hf.searchers.evaluators.supernet_loss import SupernetLoss


EVALUATORS: dict[str, type[Evaluator]] = {
    "biws": Biws,
    "function": FunctionEvaluator,
    "measured-cost": MeasuredCost,
    "stand-alone": StandAlone,
    "supernet-loss": SupernetLoss,
}
