"""The search loop: ask, evaluate, journal, tell. Killed anywhere, the same call goes on with the same trials."""

from collections.abc import Callable, Sequence
from typing import Protocol

from autobert_hf.lab.journal import Journal, JournalError
from autobert_hf.lab.seeds import derive
from autobert_hf.lab.train import TrainingError, memory_errors
from autobert_hf.searchers.architecture import Architecture
from autobert_hf.searchers.objectives import Objective
from autobert_hf.searchers.trial import Proposal, Trial


Scores = dict[str, float]


class Searcher(Protocol):
    """Ask and tell; deterministic in (seed, trial id, the rounds told so far)."""

    seed: int
    objective: Objective
    parents_per_round: int

    def round_size(self) -> int: ...
    def ask(self, trial_id: int) -> Proposal: ...
    def tell(self, trials: Sequence[Trial]) -> None: ...
    def survivors(self) -> list[Trial]: ...


class Evaluator(Protocol):
    """Scores architectures; what it keeps between trials is committed by round."""

    def start_round(self, number: int) -> None: ...
    def evaluate(self, trial_id: int, architecture: Architecture) -> tuple[Scores, Scores]: ...
    def keep(self, trials: Sequence[Trial]) -> None: ...
    def end_round(self, number: int, born_parents: Sequence[Trial], journal_lines: int) -> None: ...


def search(
    searcher: Searcher,
    evaluator: Evaluator,
    journal: Journal,
    num_trials: int,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """
    Runs until the journal holds `num_trials` trials, failed ones included, and returns all that it holds, in order.
    Trials that the journal holds already are told to the searcher again, never evaluated again.

    Raises:
        JournalError: if the journal holds other trials than this search would have made.
    """
    trials: list[Trial] = []
    number = 0
    total = max(num_trials, len(journal.records))
    while len(trials) < total:
        first, size = len(trials), searcher.round_size()
        count = min(size, total - first)
        proposals = [searcher.ask(first + offset) for offset in range(count)]
        if first + count > len(journal.records):
            evaluator.start_round(number)
        for trial_id, proposal in enumerate(proposals, start=first):
            trials.append(_trial(searcher, evaluator, journal, trial_id, proposal))
            # What an earlier process kept is decided by all of its trials, so nothing goes while they are replayed.
            if len(trials) == len(journal.records):
                evaluator.keep(searcher.objective.ranked(trials)[: searcher.parents_per_round])
            on_trial(trials[-1])
        searcher.tell(trials[first:])
        # A round that the budget cuts short hands nothing back: with a larger budget it goes on as if never cut. A
        # round with later trials behind it was ended by the process that made them.
        if count == size and len(trials) == len(journal.records):
            born = [trial for trial in searcher.survivors() if trial.id >= first]
            evaluator.end_round(number, born, len(trials))
            evaluator.keep(searcher.objective.ranked(trials)[:1])
        number += 1
    return trials


def _trial(searcher: Searcher, evaluator: Evaluator, journal: Journal, trial_id: int, proposal: Proposal) -> Trial:
    """From the journal or evaluated; a candidate that cannot be scored is a trial with a reason."""
    if trial_id < len(journal.records):
        return _replayed(searcher, journal, trial_id, proposal)
    seed = derive(searcher.seed, trial_id, "trial")
    try:
        with memory_errors():
            scores, cost = evaluator.evaluate(trial_id, proposal.architecture)
        trial = Trial(trial_id, proposal, seed, scores, cost)
    except (TrainingError, MemoryError) as error:
        trial = Trial(trial_id, proposal, seed, status="failed", reason=str(error) or "out of memory")
    journal.append(trial.to_record())
    return trial


def _replayed(searcher: Searcher, journal: Journal, trial_id: int, proposal: Proposal) -> Trial:
    try:
        trial = Trial.from_record(journal.records[trial_id])
        searcher.objective.ranked([trial])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{journal.path}, line {trial_id + 1} is not a trial ({error!r}): restore it.") from error
    if trial.id != trial_id or trial.proposal != proposal:
        raise JournalError(
            f"{journal.path}, line {trial_id + 1} holds another trial than this search makes there: it was changed by "
            "hand or written by another version. Restore it, or start again in a new --output-dir."
        )
    return trial
