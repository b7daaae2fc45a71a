"""Evolution with truncation selection: the loop of AutoBERT-Zero (Algorithm 1) without its guidance."""

from collections.abc import Sequence
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


class Evolution(RandomSearch):
    """A random first population, then rounds in which each of the best `parents` has `children` mutants."""

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
        child = self.unseen(lambda: self.mutant(parent.architecture, rng))
        return Proposal(child, parent.id, "mutate")

    def mutant(self, architecture: Architecture, rng: Random) -> Architecture:
        return self.space.mutate(architecture, rng)
