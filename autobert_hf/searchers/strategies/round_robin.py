"""Several searches with one journal: what one of them has had evaluated, all know."""

from collections.abc import Sequence

from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


class RoundRobin:
    """
    Ask and tell. The strategies take turns, one round each; every one is told all trials. With one of them for each
    limit, a candidate is scored once and counts for every limit it keeps.
    """

    def __init__(self, strategies: Sequence[RandomSearch]) -> None:
        self.strategies = strategies
        self.turn = 0
        self.parents_per_round = 0  # nobody inherits

    def round_size(self) -> int:
        return self.strategies[self.turn].round_size()

    def ask(self, trial_id: int) -> Proposal:
        return self.strategies[self.turn].ask(trial_id)

    def tell(self, trials: Sequence[Trial]) -> None:
        for strategy in self.strategies:
            strategy.tell(trials)
            strategy.seen.update(trial.architecture for trial in trials)
        self.turn = (self.turn + 1) % len(self.strategies)

    def survivors(self) -> list[Trial]:
        return []
