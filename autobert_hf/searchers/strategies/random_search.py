"""Random search: the control that every guided search has to beat."""

from collections.abc import Callable, Sequence
from random import Random

from autobert_hf.lab.seeds import derive
from autobert_hf.searchers.architecture import Architecture
from autobert_hf.searchers.objectives import Objective
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.trial import Proposal, Trial


class RandomSearch:
    """
    Ask and tell. A round is asked as a whole and told as a whole, so that what a trial is depends on the seed, its
    number and the rounds before, never on which of its round finished first.
    """

    def __init__(
        self,
        space: AutoBertZeroSpace,
        objective: Objective,
        seed: int,
        population: int = 100,
        parents: int = 5,
        children: int = 5,
    ) -> None:
        self.space = space
        self.objective = objective
        self.seed = seed
        self.population = population
        self.parents_per_round = parents
        self.children = children
        self.history: list[Trial] = []
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
        """A new architecture, unless the space seems used up."""
        architecture = propose()
        for _ in range(100):
            if architecture not in self.seen:
                break
            architecture = propose()
        self.seen.add(architecture)
        return architecture
