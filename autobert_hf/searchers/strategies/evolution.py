"""Evolution with truncation selection: the loop of AutoBERT-Zero (Algorithm 1) without its guidance."""

from collections.abc import Callable, Sequence
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies.random_search import RandomSearch


class Evolution(RandomSearch):
    """
    A random first population, then rounds in which each of the best `parents` has `children` mutants. With probability
    `crossover` a child is first crossed with another parent, which the paper does not do.
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
        crossover: float = 0.0,
    ) -> None:
        super().__init__(space, goals, seed, population, parents, children, allowed)
        self.crossover = crossover

    def round_size(self) -> int:
        return self.parents_per_round * self.children if self.history else self.population

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        self.parents = self.goals.ranked(self.history)[: self.parents_per_round]

    def survivors(self) -> list[Trial]:
        return self.parents

    def ask(self, trial_id: int) -> Proposal:
        if not self.parents:
            return super().ask(trial_id)
        parent = self.parents[(trial_id - len(self.history)) // self.children % len(self.parents)]
        rng = Random(derive(self.seed, trial_id, "mutate"))
        others = [trial for trial in self.parents if trial.id != parent.id]
        if not others or not self.crossover or rng.random() >= self.crossover:
            return Proposal(self.unseen(lambda: self.mutant(parent.architecture, rng)), parent.id, "mutate")
        other = rng.choice(others).architecture
        child = self.unseen(lambda: self.mutant(self.space.crossover(parent.architecture, other, rng), rng))
        return Proposal(child, parent.id, "crossover")

    def mutant(self, architecture: Architecture, rng: Random) -> Architecture:
        return self.space.mutate(architecture, rng)
