"""Several searches with a shared journal: each one uses the trials of all."""

from collections.abc import Sequence

from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


class RoundRobin:
    """
    Ask and tell. The strategies take turns, one round each; all trials are reported to every strategy. With one
    strategy per limit, a candidate is scored once and counts for every limit that it meets.
    """

    def __init__(self, strategies: Sequence[RandomSearch]) -> None:
        self.strategies = strategies
        self.turn = 0
        self.parents_per_round = 0  # no weights are inherited

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
