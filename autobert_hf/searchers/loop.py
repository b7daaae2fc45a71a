"""The search loop: ask, evaluate, journal, tell. Killed anywhere, the same call goes on with the same trials."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from accelerate import Accelerator

from autobert_hf.lab.training.team import gather_in_order
from autobert_hf.lab.training.trainer import TrainingError, memory_errors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial, parse_trial


Scores = dict[str, float]


class Searcher(Protocol):
    """Ask and tell; deterministic in (seed, trial id, the rounds told so far)."""

    seed: int
    goals: Goals
    parents_per_round: int

    def round_size(self) -> int: ...
    def ask(self, trial_id: int) -> Proposal: ...
    def tell(self, trials: Sequence[Trial]) -> None: ...
    def survivors(self) -> list[Trial]: ...


class Evaluator(Protocol):
    """Scores architectures; what it keeps between trials is committed by round."""

    def start_round(self, number: int) -> None: ...
    def evaluate(self, trial_id: int, architecture: Architecture) -> tuple[Scores, Scores]: ...
    def keep(self, trials: Sequence[Trial], known: int) -> None: ...
    def end_round(self, number: int, born_parents: Sequence[Trial], journal_lines: int) -> None: ...


def search(
    searcher: Searcher,
    evaluator: Evaluator,
    journal: Journal,
    num_trials: int,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    team: Accelerator | None = None,
) -> list[Trial]:
    """
    Runs until the journal holds `num_trials` trials, failed ones included, and returns all that it holds, in order.
    Several processes (`team`) evaluate different candidates and end with the same trials as one process.
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
        for trial in _trials(searcher, evaluator, journal, first, proposals, team):
            trials.append(trial)
            # What an earlier process kept is decided by all of its trials, so nothing goes while they are replayed.
            if len(trials) == len(journal.records):
                evaluator.keep(_wanted(searcher, trials, searcher.parents_per_round), len(trials))
            on_trial(trial)
        searcher.tell(trials[first:])
        # A round that the budget cuts short hands nothing back: with a larger budget it goes on as if never cut. A
        # round with later trials behind it was ended by the process that made them.
        if count == size and len(trials) == len(journal.records):
            born = [trial for trial in searcher.survivors() if trial.id >= first]
            evaluator.end_round(number, born, len(trials))
            evaluator.keep(_wanted(searcher, trials, 0), len(trials))
        number += 1
    return trials


def _wanted(searcher: Searcher, trials: Sequence[Trial], parents: int) -> list[Trial]:
    """Those that may become parents, and those that nothing beats: one of them will be the result."""
    goals = searcher.goals
    wanted = [*goals.ranked(trials)[:parents], *goals.best(trials)[:1], *goals.front(trials)]
    return list({trial.id: trial for trial in wanted}.values())


def _trials(
    searcher: Searcher,
    evaluator: Evaluator,
    journal: Journal,
    first: int,
    proposals: Sequence[Proposal],
    team: Accelerator | None,
) -> Iterator[Trial]:
    """A round's trials in order: from the journal as far as it goes, then evaluated, one on each process at a time."""
    asked = list(enumerate(proposals, start=first))
    replayed = [(trial_id, proposal) for trial_id, proposal in asked if trial_id < len(journal.records)]
    for trial_id, proposal in replayed:
        yield _replayed(searcher, journal, trial_id, proposal)
    rank, size = (team.process_index, team.num_processes) if team is not None else (0, 1)
    for start in range(len(replayed), len(asked), size):
        mine = asked[start : start + size][rank : rank + 1]
        done = [_evaluated(searcher, evaluator, trial_id, proposal, rank) for trial_id, proposal in mine]
        wave = gather_in_order(done, team) if team is not None else done
        for trial in wave:
            journal.append(trial.to_record())
            yield trial


def _evaluated(searcher: Searcher, evaluator: Evaluator, trial_id: int, proposal: Proposal, process: int) -> Trial:
    """A candidate that cannot be scored is a trial with a reason."""
    seed = derive(searcher.seed, trial_id, "trial")
    try:
        with memory_errors():
            scores, cost = evaluator.evaluate(trial_id, proposal.architecture)
        return Trial(trial_id, proposal, seed, scores, cost | {"process": process})
    except (TrainingError, MemoryError) as error:
        return Trial(trial_id, proposal, seed, status="failed", reason=str(error) or "out of memory")


def _replayed(searcher: Searcher, journal: Journal, trial_id: int, proposal: Proposal) -> Trial:
    line, record = trial_id + 1, journal.records[trial_id]
    trial = parse_trial(journal.path, line, record, lambda found: searcher.goals.ranked([found]))
    if trial.id != trial_id or trial.proposal != proposal:
        raise JournalError(
            f"{journal.path}, line {line} holds another trial than this search makes there: it was changed by "
            "hand or written by another version. Restore it, or start again in a new --output-dir."
        )
    return trial
