"""The progress bar of a search: candidates, best so far, rate, time left."""

from collections.abc import Sequence
from types import TracebackType

from tqdm.auto import tqdm

from autobert_hf.records.goals import Goal
from autobert_hf.records.trial import Trial


class TrialBar:
    def __init__(self, num_trials: int, goal: Goal, replayed: int, quiet: bool = False) -> None:
        self.goal = goal
        self.replayed = replayed
        self.best: Trial | None = None
        self.failed = 0
        self.bar = tqdm(
            total=num_trials,
            initial=min(replayed, num_trials),
            desc="search",
            unit="trial",
            smoothing=0.1,
            disable=quiet,
        )

    def show(self, trial: Trial) -> None:
        self.failed += not trial.ok
        if trial.ok and (self.best is None or self.goal.value(trial) > self.goal.value(self.best)):
            self.best = trial
        if self.best is not None:
            shown = {"best": f"{self.goal.shown(self.best.scores)} (trial {self.best.id})"}
            shown |= {} if self.goal.floor is None else {"floor": f"{self.goal.floor:.4f}"}
            self.bar.set_postfix(shown | {"failed": self.failed}, refresh=False)
        if trial.id >= self.replayed:
            self.bar.update()

    def rescale(self, trials: Sequence[Trial]) -> None:
        """After earlier trials were scored again: all so far, with comparable scores."""
        self.best = max((trial for trial in trials if trial.ok), key=self.goal.value, default=None)

    def best_score(self) -> dict[str, float]:
        """By the main goal, so far."""
        return {} if self.best is None else {f"best_{self.goal.name}": self.best.scores[self.goal.name]}

    def __enter__(self) -> "TrialBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()
