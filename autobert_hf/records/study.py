"""A study on disk: the trials of one journal, with the goals that rank them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autobert_hf.records.goals import Goals
from autobert_hf.records.trial import Trial, read_trials


class StudyError(ValueError):
    """The study has no such trial, or none yet."""


def journal_file(run: Path, name: str = "") -> Path:
    """The journal of the study `name` in a run's folder; the main study has no name."""
    return run / (f"journal-{name}.jsonl" if name else "journal.jsonl")


@dataclass(frozen=True)
class Study:
    """`complete`: whether the budget is used up, so that repeating the search would add nothing."""

    name: str
    goals: Goals
    trials: list[Trial]
    complete: bool = True

    @classmethod
    def read(cls, run: Path, name: str = "", num_trials: int = 0) -> "Study":
        """
        Raises:
            StudyError: if no search has begun in `run`.
            JournalError: if a line of the journal is not a trial.
        """
        goals = Goals.read(run, name)
        if goals is None:
            raise StudyError(f"{run} holds no study yet: let its search go on first (`autobert status {run}`).")
        trials = read_trials(journal_file(run, name))
        return cls(name, goals, trials, complete=len(trials) >= num_trials)

    @cached_property
    def best(self) -> Trial:
        """
        The best finished trial by the main goal; of equal ones, the earliest. Pruned trials do not count.

        Raises:
            StudyError: if no trial has finished.
        """
        ranked = self.goals.best(self.trials)
        if not ranked:
            raise StudyError(f"None of {len(self.trials)} trials has finished: let the search go on.")
        return ranked[0]

    def front(self) -> list[Trial]:
        """The Pareto front, sorted by the main goal, best first."""
        return self.goals.front(self.trials)

    def to_rows(self) -> list[dict[str, Any]]:
        """A flat dictionary per trial: number, parent, status, reason, `score_NAME`, `cost_NAME`, architecture."""
        return [
            {"trial": t.id, "parent": t.proposal.parent, "mutation": t.proposal.mutation, "status": t.status}
            | {"reason": t.reason}
            | {f"score_{name}": value for name, value in t.scores.items()}
            | {f"cost_{name}": value for name, value in t.cost.items()}
            | {"architecture": t.architecture.to_json()}
            for t in self.trials
        ]
