"""Avoids evaluating an architecture twice in a space that can be listed."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol, runtime_checkable

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies.strategy import Strategy


TRIES = 100


@runtime_checkable
class Listable(Space, Protocol):
    @property
    def size(self) -> int: ...

    def enumerate(self) -> Iterator[Architecture]: ...


class EachOnce:
    """
    Replaces an architecture that `strategy` proposes again with a new random one, or with the first new one of the
    list once random draws find none: after `space.size` trials, every architecture has been tried.
    """

    def __init__(self, strategy: Strategy, space: Listable, seed: int) -> None:
        self.strategy = strategy
        self.space = space
        self.seed = seed
        self.seen: set[Architecture] = set()

    @property
    def parents_per_round(self) -> int:
        return self.strategy.parents_per_round

    def round_size(self) -> int:
        return self.strategy.round_size()

    def ask(self, trial_id: int) -> Proposal:
        proposal = self.strategy.ask(trial_id)
        if proposal.architecture in self.seen and (new := self._new(trial_id)) is not None:
            proposal = Proposal(new)
        self.seen.add(proposal.architecture)
        return proposal

    def _new(self, trial_id: int) -> Architecture | None:
        rng = Random(derive(self.seed, trial_id, "each-once"))
        drawn = (self.space.sample(rng) for _ in range(TRIES))
        found = next((one for one in drawn if one not in self.seen), None)
        return found or next((one for one in self.space.enumerate() if one not in self.seen), None)

    def tell(self, trials: Sequence[Trial]) -> None:
        self.strategy.tell(trials)

    def survivors(self) -> list[Trial]:
        return self.strategy.survivors()
