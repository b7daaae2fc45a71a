"""Random search: the control that every guided search has to beat."""

from collections.abc import Callable, Sequence
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space


TRIES = 100


class RandomSearch:
    """
    Ask and tell. A round is asked as a whole and told as a whole, so that what a trial is depends on the seed, its
    number and the rounds before, never on which of its round finished first.
    """

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
        """The next proposal of the current round; trial ids are asked in order."""
        rng = Random(derive(self.seed, trial_id, "sample"))
        return Proposal(self.unseen(lambda: self.space.sample(rng)))

    def tell(self, trials: Sequence[Trial]) -> None:
        """All trials of the round, in order."""
        self.history.extend(trials)

    def survivors(self) -> list[Trial]:
        """Whose weights the next round builds on: nobody's."""
        return []

    def unseen(self, propose: Callable[[], Architecture]) -> Architecture:
        """A new architecture within the limits, unless the space seems used up."""
        architecture = propose()
        for _ in range(TRIES):
            if architecture not in self.seen and self.allowed(architecture):
                break
            architecture = propose()
        self.seen.add(architecture)
        return architecture
