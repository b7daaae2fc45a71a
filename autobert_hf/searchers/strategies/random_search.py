"""Random search: the baseline for every guided search."""

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space


TRIES = 100


class RandomSearch:
    """
    Ask and tell, one round at a time: a trial depends on the seed, its number and the earlier rounds, not on the order
    in which the trials of its round finish.
    """

    tries: ClassVar[int] = TRIES  # proposals until a new, allowed one is found

    def __init__(
        self,
        space: Space,
        goals: Goals,
        seed: int,
        population: int = 100,
        parents: int = 5,
        children: int = 5,
        allowed: Callable[[Architecture], bool] = lambda architecture: True,
    ) -> None:
        self.space = space
        self.goals = goals
        self.seed = seed
        self.population = population
        self.parents_per_round = parents
        self.children = children
        self.allowed = allowed
        self.history: list[Trial] = []
        self.parents: list[Trial] = []
        self.seen: set[Architecture] = set()

    def round_size(self) -> int:
        return self.parents_per_round * self.children

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
