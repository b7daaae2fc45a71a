"""Evolution on the Pareto front (LiteTransformerSearch, Javaheripi et al., 2022, Algorithm 1 and released code)."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies.random_search import RandomSearch


class FrontEvolution(RandomSearch):
    """
    A random first population, then rounds of `parents` x `children` children, half of them mutants of a random parent,
    half children of two. The parents of a round are drawn from the front of all trials, with replacement, with weights
    1 / (1 + uses), where `uses` is how often a trial was drawn before, scaled to 0..1 over the front. Children are
    new: where neither mutation nor crossover gives a new one that is allowed, a random one is drawn, and only in a
    space that has no other is one proposed twice.
    """

    tries: ClassVar[int] = 1000

    def __init__(
        self,
        space: Space,
        goals: Goals,
        seed: int,
        population: int = 100,
        parents: int = 20,
        children: int = 4,
        allowed: Callable[[Architecture], bool] = lambda architecture: True,
    ) -> None:
        super().__init__(space, goals, seed, population, parents, children, allowed)
        self.uses: Counter[int] = Counter()

    def round_size(self) -> int:
        return self.parents_per_round * self.children if self.history else self.population

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        front = self.goals.front(self.history)
        rng = Random(derive(self.seed, len(self.history), "parents"))
        self.parents = rng.choices(front, self._weights(front), k=self.parents_per_round) if front else []
        self.uses.update(trial.id for trial in self.parents)

    def ask(self, trial_id: int) -> Proposal:
        if not self.parents:
            return super().ask(trial_id)
        is_mutant = 2 * (trial_id - len(self.history)) < self.round_size()
        rng, drawn = Random(derive(self.seed, trial_id, "child")), list[Proposal]()

        def propose() -> Architecture:  # of other parents each time: all children of some may be known
            of_parents = len(drawn) < self.tries // 2
            drawn.append(self._child(is_mutant, rng) if of_parents else Proposal(self.space.sample(rng)))
            return drawn[-1].architecture

        self.unseen(propose)
        return drawn[-1]

    def _child(self, is_mutant: bool, rng: Random) -> Proposal:
        if is_mutant:
            parent = rng.choice(self.parents)
            return Proposal(self.space.mutate(parent.architecture, rng), parent.id, "mutate")
        one, other = rng.sample(self.parents, 2) if len(self.parents) > 1 else self.parents * 2
        return Proposal(self.space.crossover(one.architecture, other.architecture, rng), one.id, "crossover")

    def _weights(self, front: Sequence[Trial]) -> list[float]:
        uses = [self.uses[trial.id] for trial in front]
        least, most = min(uses), max(uses)
        return [1 / (1 + (count - least) / max(most - least, 1)) for count in uses]
