"""Several searches with one journal: what one of them has had evaluated, all know."""

from collections.abc import Sequence

from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch


class Alternating:
    """
    Ask and tell. The searchers take turns, one round each; every one is told all trials. With one of them for each
    limit, a candidate is scored once and counts for every limit it keeps.
    """

    def __init__(self, searchers: Sequence[RandomSearch]) -> None:
        self.searchers = searchers
        self.turn = 0
        self.seed, self.goals = searchers[0].seed, searchers[0].goals
        self.parents_per_round = 0  # nobody inherits

    def round_size(self) -> int:
        return self.searchers[self.turn].round_size()

    def ask(self, trial_id: int) -> Proposal:
        return self.searchers[self.turn].ask(trial_id)

    def tell(self, trials: Sequence[Trial]) -> None:
        for searcher in self.searchers:
            searcher.tell(trials)
            searcher.seen.update(trial.architecture for trial in trials)
        self.turn = (self.turn + 1) % len(self.searchers)

    def survivors(self) -> list[Trial]:
        return []
