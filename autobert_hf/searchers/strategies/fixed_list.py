"""A fixed list of architectures, evaluated in order: exhaustive search, or the choices of a rule."""

from collections.abc import Sequence

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial


class FixedList:
    """Ask and tell in rounds of `round` trials. The caller must not ask beyond the end of the list (IndexError)."""

    def __init__(self, architectures: Sequence[Architecture], round: int = 25) -> None:
        self.architectures = architectures
        self.round = round
        self.parents_per_round = 0

    def round_size(self) -> int:
        return self.round

    def ask(self, trial_id: int) -> Proposal:
        return Proposal(self.architectures[trial_id], None, "list")

    def tell(self, trials: Sequence[Trial]) -> None:
        """Does nothing: the list is fixed."""

    def survivors(self) -> list[Trial]:
        return []
