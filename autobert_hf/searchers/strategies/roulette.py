"""The evolution of AutoTinyBERT (Yin et al., 2021, section 3.3 and released code): parents by roulette."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


EXPLORE = 0.5  # p_e: a new sample instead of a mutation
MUTATE = 0.5  # p_m, of the paper's algorithm; the released code mutates whatever is not a new sample


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
        self.selected = self.goals.ranked(here)[: self.population]

    def ask(self, trial_id: int) -> Proposal:
        rng = Random(derive(self.seed, trial_id, "roulette"))
        if not self.selected or rng.random() < EXPLORE:
            return super().ask(trial_id)
        drawn: list[Trial] = []

        def propose() -> Architecture:  # draws a parent each time: all neighbours of one may be known
            drawn.append(rng.choices(self.selected, self.weights())[0])
            return self.space.mutate(drawn[-1].architecture, rng)

        child = self.unseen(propose)
        return Proposal(child, drawn[-1].id, "mutate")

    def weights(self) -> list[float]:
        return roulette_weights(self.goals, self.selected)


@dataclass(eq=False)
class GenerationRoulette(RandomSearch):
    """
    The algorithm as the paper prints it. Each member of the next generation is a parent drawn from the last one; with
    probability 1/2 it is replaced by a new sample, else with probability 1/2 by a mutation of the parent. A parent
    that is neither belongs to the next generation without being evaluated again.
    """

    asked: set[int] = field(init=False, default_factory=set)
    # Of the next round: the parents to mutate, None for a new sample.
    plan: list[Trial | None] = field(init=False, default_factory=list)
    # Members of the next generation that are evaluated already.
    kept: list[Trial] = field(init=False, default_factory=list)

    def round_size(self) -> int:
        return len(self.plan) or self.population

    def ask(self, trial_id: int) -> Proposal:
        self.asked.add(trial_id)
        parent = self.plan[trial_id - len(self.history)] if self.plan else None
        if parent is None:
            return super().ask(trial_id)
        rng = Random(derive(self.seed, trial_id, "roulette"))
        return Proposal(self.unseen(lambda: self.space.mutate(parent.architecture, rng)), parent.id, "mutate")

    def tell(self, trials: Sequence[Trial]) -> None:
        own = [trial for trial in trials[len(self.history) :] if trial.id in self.asked]
        super().tell(trials)
        if own:  # else another strategy's round
            generation = [*self.kept, *(trial for trial in own if trial.ok)]
            self.plan, self.kept = self.next_generation(generation) if generation else ([], [])

    def next_generation(self, generation: list[Trial]) -> tuple[list[Trial | None], list[Trial]]:
        rng, weights = (
            Random(derive(self.seed, len(self.history), "generation")),
            roulette_weights(self.goals, generation),
        )
        plan: list[Trial | None] = []
        kept: list[Trial] = []
        while not plan or len(plan) + len(kept) < self.population:
            (parent,) = rng.choices(generation, weights)
            if rng.random() < EXPLORE:
                plan.append(None)
            elif rng.random() < MUTATE:
                plan.append(parent)
            else:
                kept.append(parent)
        return plan, kept


def roulette_weights(goals: Goals, parents: Sequence[Trial]) -> list[float]:
    """Fitness above that of the least fit parent; equal weights if all are equally fit."""
    fitness = goals.fitness(parents)
    weights = [value - min(fitness) for value in fitness]
    return weights if any(weights) else [1.0] * len(weights)
