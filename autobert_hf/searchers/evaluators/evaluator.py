"""The interface of evaluators: from an architecture to its scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.trainer import memory_errors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Trial


Scores = dict[str, float]
Report = Callable[[int, Scores], bool]


@contextmanager
def _memory_as_failure() -> Iterator[None]:
    try:
        with memory_errors():
            yield
    except MemoryError as error:
        raise TrainingError(str(error) or "out of memory") from error


class Evaluator(ABC):
    """
    Owns the weights that candidates inherit and write back; its state between trials is committed once per round.
    `exclusive`: it measures this machine, so only one process may evaluate at a time. `keeps_files`: it keeps files of
    candidates, and is told which are still needed (`release_except`).
    """

    exclusive: bool = False
    keeps_files: bool = False

    def known(self, architecture: Architecture) -> Scores:
        """Scores that need no training; limits on them are checked before a candidate is trained."""
        return {}

    @abstractmethod
    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """
        The other scores, and their cost (seconds, tokens, ...). `report(step, scores)` records partial scores and
        returns whether to continue; if not, the scores of that step are returned.

        Raises:
            TrainingError: if the candidate cannot be scored: it becomes a failed trial with this reason.
        """

    def failures(self) -> AbstractContextManager[None]:
        """Surrounds `evaluate`: raises TrainingError for exhausted memory, so that this too makes a failed trial."""
        return _memory_as_failure()

    def weights(self) -> str:
        """The version of the shared weights used now; scores from different versions are not directly comparable."""
        return ""

    def noise(self, trial: Trial) -> float | None:
        """Standard error of the trial's main score over the choice of held-out data; None if unknown."""
        return None

    def start_round(self, number: int) -> None:  # noqa: B027 (nothing to do is the default, here and below)
        """Called before the first evaluation in a round."""

    def has_round(self, number: int) -> bool:
        """Whether the weights of this round still exist, so that `start_round(number)` can be called."""
        return True

    def release_except(self, trials: Sequence[Trial], known: int) -> None:  # noqa: B027
        """Called when only these of the first `known` trials are still needed: files of the others may be deleted."""

    def end_round(  # noqa: B027
        self, number: int, born_parents: Sequence[Trial], digest: str
    ) -> None:
        """
        Called when the round is in the journal; `born_parents`: its trials that became parents, best first; `digest`:
        that of the journal's last line, to be kept with what the round leaves.
        """

    def follows(self) -> str:
        """The digest that the last round's weights were kept with; empty if there are none."""
        return ""
