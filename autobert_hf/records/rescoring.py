"""
Trials scored again: shared weights improve from round to round, so that scores of different rounds are not comparable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from autobert_hf.records.journal import JournalError, journal_records
from autobert_hf.records.trial import Trial, is_rescoring


@dataclass(frozen=True)
class Rescoring:
    """
    Another evaluation of the trial `rescored`, after the first `after` trials of the journal, with the version
    `weights` of the shared weights. It counts as cost, not as a trial. `status` is "done" or "failed", with a reason.
    """

    rescored: int
    after: int
    weights: str
    scores: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    status: str = "done"
    reason: str = ""

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(
        cls, journal: Path, line: int, record: Mapping[str, Any], check: Callable[["Rescoring"], object] = id
    ) -> "Rescoring":
        """
        Raises:
            JournalError: if the record is not that of a rescoring, or if `check(rescoring)` raises.
        """
        try:
            found = cls(**record)
            check(found)
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{journal}, line {line} is not a rescoring ({error}): restore it.") from error


def read_rescorings(journal: Path) -> list[Rescoring]:
    """
    The rescorings among the lines of a journal.

    Raises:
        JournalError: if a line cannot be read.
    """
    lines = enumerate(journal_records(journal), start=1)
    return [Rescoring.parse(journal, line, record) for line, record in lines if is_rescoring(record)]


def comparable(trials: Sequence[Trial], rescorings: Sequence[Rescoring]) -> list[Trial]:
    """The trials in order, with scores as the latest weights would give them (see `rescaled`)."""
    found: list[Trial] = []
    for after, group in groupby(rescorings, key=lambda one: one.after):
        found = rescaled([*found, *trials[len(found) : after]], list(group))
    return [*found, *trials[len(found) :]]


def rescaled(trials: Sequence[Trial], rescorings: Sequence[Rescoring]) -> list[Trial]:
    """
    The trials with scores that are comparable with those of the weights of `rescorings`, which are one version. Trials
    that were scored again have their new scores, cost and weights, or have failed. The others' scores are shifted by
    the mean difference between new and old scores of the re-scored ones, unless they are on that scale already because
    trials were scored with these weights before.
    """
    again = {one.rescored: one for one in rescorings}
    is_new = all(trial.weights != one.weights for one in rescorings[:1] for trial in trials)
    shift = _shift(trials, again) if is_new else {}
    return [_again(trial, again[trial.id]) if trial.id in again else _shifted(trial, shift) for trial in trials]


def _shift(trials: Sequence[Trial], again: Mapping[int, Rescoring]) -> dict[str, float]:
    """By name of the score, over the trials that were re-scored with success."""
    pairs = [
        (trial.scores, again[trial.id].scores)
        for trial in trials
        if trial.id in again and again[trial.id].status == "done"
    ]
    names = [name for name in (pairs[0][0] if pairs else ()) if all(name in old and name in new for old, new in pairs)]
    means = {name: fmean(new[name] - old[name] for old, new in pairs) for name in names}
    return {name: mean for name, mean in means.items() if mean}


def _again(trial: Trial, one: Rescoring) -> Trial:
    if trial.weights == one.weights:
        return trial
    return replace(trial, weights=one.weights, scores=one.scores, cost=one.cost, status=one.status, reason=one.reason)


def _shifted(trial: Trial, shift: Mapping[str, float]) -> Trial:
    if not shift or not trial.ok:
        return trial
    return replace(trial, scores={name: value + shift.get(name, 0) for name, value in trial.scores.items()})
