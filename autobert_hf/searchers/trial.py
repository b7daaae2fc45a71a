"""One evaluated architecture, as the journal holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autobert_hf.searchers.architecture import Architecture


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
