"""Random search: the baseline for every guided search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space


TRIES = 100


@dataclass(eq=False)
class RandomSearch:
    """
    Ask and tell, one round at a time: a trial depends on the seed, its number and the earlier rounds, not on the order
    in which the trials of its round finish. `population`: trials of the first round; later rounds have `children` of
    each of `parents` trials. `selected`: the trials that have children in strategies that inherit from this one.
    """

    tries: ClassVar[int] = TRIES  # proposals until a new, allowed one is found

    space: Space
    goals: Goals
    seed: int
    population: int = 100
    parents: int = 5
    children: int = 5
    allowed: Callable[[Architecture], bool] = lambda architecture: True
    history: list[Trial] = field(init=False, default_factory=list)
    selected: list[Trial] = field(init=False, default_factory=list)
    seen: set[Architecture] = field(init=False, default_factory=set)

    @property
    def parents_per_round(self) -> int:
        return self.parents

    def round_size(self) -> int:
        return self.parents * self.children

    def ask(self, trial_id: int) -> Proposal:
        """The next proposal of the current round; call it with consecutive trial ids."""
        rng = Random(derive(self.seed, trial_id, "sample"))
        return Proposal(self.unseen(lambda: self.space.sample(rng)))

    def tell(self, trials: Sequence[Trial]) -> None:
        """Reports all trials so far, in order, with comparable scores."""
        self.history = list(trials)

    def survivors(self) -> list[Trial]:
        """Empty: no weights are inherited."""
        return []

    def unseen(self, propose: Callable[[], Architecture]) -> Architecture:
        """A new, allowed architecture; the last proposal if `tries` proposals were not, as in a small space."""
        architecture = propose()
        for _ in range(self.tries):
            if architecture not in self.seen and self.allowed(architecture):
                break
            architecture = propose()
        self.seen.add(architecture)
        return architecture
