"""A list of architectures that is evaluated from the first to the last: exhaustive search, or a rule's choices."""

from collections.abc import Sequence

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial


class FixedList:
    """Ask and tell; all rounds but the last are `round` long. Asking beyond the end is an error of the caller."""

    def __init__(self, architectures: Sequence[Architecture], round: int = 25) -> None:
        self.architectures = architectures
        self.round = round
        self.parents_per_round = 0

    def round_size(self) -> int:
        return self.round

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(self.architectures[trial_id], None, "list")

    def tell(self, trials: Sequence[Trial]) -> None:
        """Nothing is learned from them."""

    def survivors(self) -> list[Trial]:
        return []
