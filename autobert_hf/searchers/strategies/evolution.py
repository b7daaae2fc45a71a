"""Evolution with truncation selection: the loop of AutoBERT-Zero (Algorithm 1) without its guidance."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


@dataclass(eq=False)
class Evolution(RandomSearch):
    """
    A random first population, then rounds in which each of the best `parents` has `children` mutants. With probability
    `crossover` a child is first crossed with another parent, which the paper does not do.
    """

    crossover: float = 0.0

    def round_size(self) -> int:
        return super().round_size() if self.history else self.population

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        self.selected = self.goals.ranked(self.history)[: self.parents]

    def survivors(self) -> list[Trial]:
        return self.selected

    def ask(self, trial_id: int) -> Proposal:
        if not self.selected:
            return super().ask(trial_id)
        parent = self.selected[(trial_id - len(self.history)) // self.children % len(self.selected)]
        rng = Random(derive(self.seed, trial_id, "mutate"))
        others = [trial for trial in self.selected if trial.id != parent.id]
        if not others or not self.crossover or rng.random() >= self.crossover:
            return Proposal(self.unseen(lambda: self.mutant(parent.architecture, rng)), parent.id, "mutate")
        other = rng.choice(others).architecture
        child = self.unseen(lambda: self.mutant(self.space.crossover(parent.architecture, other, rng), rng))
        return Proposal(child, parent.id, "crossover")

    def mutant(self, architecture: Architecture, rng: Random) -> Architecture:
        return self.space.mutate(architecture, rng)
