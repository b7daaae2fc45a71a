"""Ask and tell."""

from collections.abc import Sequence
from typing import Protocol

from autobert_hf.records.trial import Proposal, Trial


class Strategy(Protocol):
    """
    A round is asked as a whole and told as a whole, so that a trial depends on the seed, its number and the rounds
    before, never on which of its round finished first. `parents_per_round`: how many of the best may have children.
    """

    @property
    def parents_per_round(self) -> int: ...

    def round_size(self) -> int: ...

    def ask(self, trial_id: int) -> Proposal:
        """The next proposal of the current round; trial ids are asked in order."""
        ...

    def tell(self, trials: Sequence[Trial]) -> None:
        """All trials of the round, in order."""
        ...

    def survivors(self) -> list[Trial]:
        """The parents of the next round, best first: those whose weights it builds on."""
        ...


class Pruner(Protocol):
    """Ends candidates early. What it knows moves only at `tell`, as a strategy's does."""

    def go_on(self, step: int, score: float) -> bool:
        """Whether a candidate with this value of the main goal (higher is better) after `step` steps is worth more."""
        ...

    def tell(self, trials: Sequence[Trial]) -> None: ...
