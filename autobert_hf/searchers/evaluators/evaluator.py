"""From an architecture to its scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Trial


Scores = dict[str, float]
Report = Callable[[int, Scores], bool]


class Evaluator(ABC):
    """
    Owns what candidates inherit and hand back; what it keeps between trials is committed by round. `exclusive`: it
    measures this machine, so that one process at a time may be at work.
    """

    exclusive: bool = False

    def known(self, architecture: Architecture) -> Scores:
        """Scores that cost nothing: by them limits are checked before anything is trained."""
        return {}

    @abstractmethod
    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """
        The other scores, and what they cost (seconds, tokens and the like). `report(step, scores)` takes partial
        scores and says whether to go on; if not, those of that step are returned.

        Raises:
            TrainingError: if the candidate cannot be scored: it becomes a failed trial with this reason.
        """

    def weights(self) -> str:
        """The version of the shared weights that judge now; scores of different ones are not compared as they are."""
        return ""

    def start_round(self, number: int) -> None:  # noqa: B027 (nothing to do is the default, here and below)
        """Before the first candidate of a round that is evaluated."""

    def release_except(self, trials: Sequence[Trial], known: int) -> None:  # noqa: B027
        """Of the first `known` trials only these are needed from now on: the others may free their space."""

    def end_round(  # noqa: B027
        self, number: int, born_parents: Sequence[Trial], journal_lines: int
    ) -> None:
        """All trials of the round are in the journal; `born_parents`, best first, have become parents."""
