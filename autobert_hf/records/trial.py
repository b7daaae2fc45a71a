"""One judged architecture, as the journal holds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import JournalError, journal_records


RESULT = ("seed", "scores", "cost", "status", "reason", "weights", "partial")


@dataclass(frozen=True)
class Proposal:
    """What a strategy asks for; `parent` is a trial's id, `mutation` says where the architecture comes from."""

    architecture: Architecture
    parent: int | None = None
    mutation: str = "sample"


@dataclass(frozen=True)
class Trial:
    """
    `scores` by goal, `cost` in seconds, trained tokens and the like, `partial` the scores on the way by step,
    `weights` the version of the shared weights that judged it. `status` is "done"; "failed", with a reason, and then
    the trial takes no part in the search beyond its place in the budget; or "pruned": ended early by its partial
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
    Raises:
        JournalError: if a line is no trial.
    """
    return [parse_trial(journal, number, record) for number, record in enumerate(journal_records(journal), start=1)]


def parse_trial(journal: Path, line: int, record: Mapping[str, Any], check: Callable[[Trial], object] = id) -> Trial:
    """As `Trial.from_record`; says where the record stands, also if `check` finds it wrong. Raises JournalError."""
    try:
        trial = Trial.from_record(record)
        check(trial)
        return trial
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{journal}, line {line} is not a trial ({error!r}): restore it.") from error
