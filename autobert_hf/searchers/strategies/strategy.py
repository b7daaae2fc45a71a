"""The interfaces of search strategies (ask and tell) and pruners."""

from collections.abc import Sequence
from typing import Protocol

from autobert_hf.records.trial import Proposal, Trial


class Strategy(Protocol):
    """
    Asked for a round of proposals, then told their results: a trial depends on the seed, its number and earlier
    rounds, not on the order in which trials finish. `parents_per_round`: how many of the best trials have children.
    """

    @property
    def parents_per_round(self) -> int: ...

    def round_size(self) -> int: ...

    def ask(self, trial_id: int) -> Proposal:
        """The next proposal of the current round; called with consecutive trial ids."""
        ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """
        At the end of a round: all trials so far, in order, with comparable scores. Those of earlier rounds may differ
        from what was told before, as shared weights that improve make all scores better (see `records/rescoring.py`).
        """
        ...

    def survivors(self) -> list[Trial]:
        """
        The parents of the next round, best first: their weights are written back, and they are scored again with the
        next round's weights.
        """
        ...


class Pruner(Protocol):
    """Stops candidates early. Like a strategy's, its state changes only in `tell`."""

    def go_on(self, step: int, score: float) -> bool:
        """Whether to continue a candidate with this value of the main goal (higher is better) after `step` steps."""
        ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """At the end of a round: all trials so far, in order."""
        ...
