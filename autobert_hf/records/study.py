"""A study on disk: the trials of one journal, with the goals that rank them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from autobert_hf.records.goals import Goals
from autobert_hf.records.rescoring import Rescoring, comparable, read_rescorings, rescaled
from autobert_hf.records.trial import Trial, read_trials


class StudyError(ValueError):
    """The study has no such trial, or none yet."""


def journal_file(run: Path, name: str = "") -> Path:
    """The journal of the study `name` in a run's folder; the main study has no name."""
    return run / (f"journal-{name}.jsonl" if name else "journal.jsonl")


def finalists_file(run: Path, name: str = "") -> Path:
    """The journal of the finalists of the study `name`."""
    return run / (f"finalists-{name}.jsonl" if name else "finalists.jsonl")


@dataclass(frozen=True)
class Study:
    """
    `recorded`: the trials as they were first scored; `rescorings`: later scores of some, with newer versions of shared
    weights; `last`: those of the finalists with the last version, after all trials. `complete`: whether the budget is
    used up, so that repeating the search would add nothing.
    """

    name: str
    goals: Goals
    recorded: list[Trial]
    rescorings: list[Rescoring] = field(default_factory=list)
    last: list[Rescoring] = field(default_factory=list)
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
        journal = journal_file(run, name)
        trials, again = read_trials(journal), read_rescorings(journal)
        last = [one for one in read_rescorings(finalists_file(run, name)) if one.after == len(trials)]
        return cls(name, goals, trials, again, last, complete=len(trials) >= num_trials)

    @cached_property
    def trials(self) -> list[Trial]:
        """All trials in order, with comparable scores: those that the latest shared weights gave, or would give."""
        return rescaled(comparable(self.recorded, self.rescorings), self.last)

    @cached_property
    def finalists(self) -> list[Trial]:
        """The trials that the winner comes from: those scored with the last version of the weights, or else all."""
        last = {one.rescored for one in self.last}
        return [trial for trial in self.trials if trial.id in last] if last else self.trials

    @cached_property
    def best(self) -> Trial:
        """
        The best finalist by the main goal; of equal ones, the earliest. Pruned trials do not count.

        Raises:
            StudyError: if no trial has finished.
        """
        ranked = self.goals.best(self.finalists)
        if not ranked:
            raise StudyError(f"None of {len(self.trials)} trials has finished: let the search go on.")
        return ranked[0]

    def front(self) -> list[Trial]:
        """The Pareto front of the finalists, sorted by the main goal, best first."""
        return self.goals.front(self.finalists)

    def to_rows(self) -> list[dict[str, Any]]:
        """
        A flat dictionary per trial: number, parent, status, reason, `score_NAME` (comparable scores), `first_NAME`
        (scores as first recorded, where they differ), `cost_NAME`, architecture.
        """
        return [
            {"trial": t.id, "parent": t.proposal.parent, "mutation": t.proposal.mutation, "status": t.status}
            | {"reason": t.reason}
            | {f"score_{name}": value for name, value in t.scores.items()}
            | {f"first_{name}": value for name, value in first.scores.items() if value != t.scores.get(name)}
            | {f"cost_{name}": value for name, value in t.cost.items()}
            | {"architecture": t.architecture.to_json()}
            for t, first in zip(self.trials, self.recorded, strict=True)
        ]
