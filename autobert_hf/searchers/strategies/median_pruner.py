"""Median pruning: stops candidates that score below the median of earlier ones at the same step."""

from collections.abc import Sequence
from statistics import median

from autobert_hf.records.goals import Goal
from autobert_hf.records.trial import Trial


class MedianPruner:
    """
    As in Optuna: nothing is pruned before `startup` trials have finished, nor before `warmup` steps of a candidate.
    """

    def __init__(self, goal: Goal, startup: int = 10, warmup: int = 0) -> None:
        self.goal = goal
        self.startup = startup
        self.warmup = warmup
        self.finished: list[Trial] = []

    def go_on(self, step: int, score: float) -> bool:
        seen = [self.goal.of(trial.partial[str(step)]) for trial in self.finished if str(step) in trial.partial]
        return step < self.warmup or len(seen) < self.startup or score >= median(seen)

    def tell(self, trials: Sequence[Trial]) -> None:
        self.finished = [trial for trial in trials if trial.ok]
