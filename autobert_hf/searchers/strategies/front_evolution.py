"""Evolution on the Pareto front (LiteTransformerSearch, Javaheripi et al., 2022, Algorithm 1 and released code)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


@dataclass(eq=False)
class FrontEvolution(RandomSearch):
    """
    A random first population, then rounds of `parents` x `children` children, half of them mutants of a random parent,
    half children of two. The parents of a round are drawn from the front of all trials, with replacement, with weights
    1 / (1 + uses), where `uses` is how often a trial was drawn before, scaled to 0..1 over the front. Children are
    new: where neither mutation nor crossover gives a new one that is allowed, a random one is drawn, and only in a
    space that has no other is one proposed twice.
    """

    tries: ClassVar[int] = 1000

    parents: int = 20
    children: int = 4
    uses: Counter[int] = field(init=False, default_factory=Counter)

    def round_size(self) -> int:
        return super().round_size() if self.history else self.population

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        front = self.goals.front(self.history)
        rng = Random(derive(self.seed, len(self.history), "parents"))
        self.selected = rng.choices(front, self._weights(front), k=self.parents) if front else []
        self.uses.update(trial.id for trial in self.selected)

    def ask(self, trial_id: int) -> Proposal:
        if not self.selected:
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
            parent = rng.choice(self.selected)
            return Proposal(self.space.mutate(parent.architecture, rng), parent.id, "mutate")
        one, other = rng.sample(self.selected, 2) if len(self.selected) > 1 else self.selected * 2
        return Proposal(self.space.crossover(one.architecture, other.architecture, rng), one.id, "crossover")

    def _weights(self, front: Sequence[Trial]) -> list[float]:
        uses = [self.uses[trial.id] for trial in front]
        least, most = min(uses, default=0), max(uses, default=0)
        return [1 / (1 + (count - least) / max(most - least, 1)) for count in uses]
