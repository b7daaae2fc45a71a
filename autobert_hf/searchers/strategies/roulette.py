"""The evolution of AutoTinyBERT (Yin et al., 2021, section 3.3 and released code): parents by roulette."""

from collections.abc import Sequence
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


EXPLORE = 0.5  # p_e: a new sample instead of a mutation


class Roulette(RandomSearch):
    """
    Generations of `population`. From the second on, each candidate is a new sample or a mutation of a parent. Parents
    are the best `population` trials of the space so far, drawn with weight fitness - (worst fitness of a parent).
    """

    def round_size(self) -> int:
        return self.population

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        here = [trial for trial in self.history if trial.ok and self.space.contains(trial.architecture)]
        self.parents = self.goals.ranked(here)[: self.population]

    def ask(self, trial_id: int) -> Proposal:
        rng = Random(derive(self.seed, trial_id, "roulette"))
        if not self.parents or rng.random() < EXPLORE:
            return super().ask(trial_id)
        drawn: list[Trial] = []

        def propose() -> Architecture:  # draws a parent each time: all neighbours of one may be known
            drawn.append(rng.choices(self.parents, self.weights())[0])
            return self.space.mutate(drawn[-1].architecture, rng)

        child = self.unseen(propose)
        return Proposal(child, drawn[-1].id, "mutate")

    def weights(self) -> list[float]:
        """Selection weights of the parents; equal if all are equally fit."""
        fitness = self.goals.fitness(self.parents)
        weights = [value - min(fitness) for value in fitness]
        return weights if any(weights) else [1.0] * len(weights)
