"""Trials: evaluated architectures, as recorded in the journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import JournalError, journal_records


RESULT = ("seed", "scores", "cost", "status", "reason", "weights", "partial")


@dataclass(frozen=True)
class Proposal:
    """What a strategy proposes; `parent`: id of a trial; `mutation`: how the architecture was made."""

    architecture: Architecture
    parent: int | None = None
    mutation: str = "sample"


@dataclass(frozen=True)
class Trial:
    """
    `scores` by name; `cost` in seconds, trained tokens, ...; `partial`: intermediate scores by step; `weights`: the
    version of the shared weights that it was scored with. `status` is "done"; "failed", with a reason: such a trial
    counts towards the budget and has no other effect on the search; or "pruned": stopped early because of its partial
    scores, and never the best.
    """

    id: int
    proposal: Proposal
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    status: str = "done"
    reason: str = ""
    weights: str = ""
    partial: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        return self.proposal.architecture

    @property
    def ok(self) -> bool:
        return self.status == "done"

    def to_record(self) -> dict[str, Any]:
        return {
            "trial": self.id,
            "architecture": self.architecture.to_json(),
            "parent": self.proposal.parent,
            "mutation": self.proposal.mutation,
            "seed": self.seed,
            "scores": dict(self.scores),
            "cost": dict(self.cost),
            "status": self.status,
            "reason": self.reason,
            "weights": self.weights,
            "partial": {step: dict(scores) for step, scores in self.partial.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Trial":
        proposal = Proposal(Architecture.from_json(record["architecture"]), record["parent"], record["mutation"])
        rest = {name: record[name] for name in RESULT}
        return cls(record["trial"], proposal, **rest)


def read_trials(journal: Path) -> list[Trial]:
    """
    The trials of a journal file, as they were first scored.

    Raises:
        JournalError: if a line is neither a trial nor a rescoring.
    """
    lines = enumerate(journal_records(journal), start=1)
    return [parse_trial(journal, number, record) for number, record in lines if not is_rescoring(record)]


def is_rescoring(record: Mapping[str, Any]) -> bool:
    """Whether a record of a journal is that of a trial scored again (see `rescoring.py`)."""
    return "rescored" in record


def parse_trial(journal: Path, line: int, record: Mapping[str, Any], check: Callable[[Trial], object] = id) -> Trial:
    """As `Trial.from_record`, but raises JournalError with the line number, also if `check(trial)` raises."""
    try:
        trial = Trial.from_record(record)
        check(trial)
        return trial
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{journal}, line {line} is not a trial ({error!r}): restore it.") from error
