"""One evaluated architecture, as the journal holds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import JournalError, read_journal


@dataclass(frozen=True)
class Proposal:
    """What a searcher asks for; `parent` is a trial's id, `mutation` says where the architecture comes from."""

    architecture: Architecture
    parent: int | None = None
    mutation: str = "sample"


@dataclass(frozen=True)
class Trial:
    """
    `scores` by objective, `cost` in seconds, trained tokens and the like. A trial that failed has `status` "failed",
    a reason, and takes no part in the search beyond its place in the budget.
    """

    id: int
    proposal: Proposal
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    status: str = "done"
    reason: str = ""

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
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Trial":
        proposal = Proposal(Architecture.from_json(record["architecture"]), record["parent"], record["mutation"])
        rest = {name: record[name] for name in ("seed", "scores", "cost", "status", "reason")}
        return cls(record["trial"], proposal, **rest)


def read_trials(journal: Path) -> list[Trial]:
    """
    Raises:
        JournalError: if a line is no trial.
    """
    return [parse_trial(journal, number, record) for number, record in enumerate(read_journal(journal), start=1)]


def parse_trial(journal: Path, line: int, record: Mapping[str, Any], check: Callable[[Trial], object] = id) -> Trial:
    """As `Trial.from_record`; says where the record stands, also if `check` finds it wrong. Raises JournalError."""
    try:
        trial = Trial.from_record(record)
        check(trial)
        return trial
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{journal}, line {line} is not a trial ({error!r}): restore it.") from error
