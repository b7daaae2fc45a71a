"""Reads the records in a run's folder, the only source of a card's contents."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.records.goals import GOALS, Goal, Goals
from autobert_hf.records.journal import JournalError
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.records.study import Study, StudyError, journal_file
from autobert_hf.records.trial import Trial


@dataclass(frozen=True)
class RunRecords:
    """
    `run`: run.json (settings, inputs, versions). `reports`: report/*.json by name, e.g. `ranking`, `latency`.
    `number`: the trial that the model was made from, if it was picked after the search; else the best trial whose
    architecture is that of `network` is used.
    """

    run: dict[str, Any]
    study: Study
    reports: dict[str, Any]
    number: int | None = None
    network: Network | None = None

    @classmethod
    def read(cls, run: Path, number: int | None = None, network: Network | None = None) -> "RunRecords":
        """
        Raises:
            RunError: if the folder holds no run, or a file is not JSON.
            StudyError: if no candidate has finished.
            JournalError: if a line of the journal is not a trial.
        """
        folder = RunFolder(run)
        asked = folder.read("run.json")
        reports = {path.stem: folder.read(f"report/{path.name}") for path in sorted((run / "report").glob("*.json"))}
        records = cls(asked, Study.read(run), reports, number, network)
        for line, trial in enumerate(records.trials, start=1):
            if not _is_sound(trial, records.study.goals):
                raise JournalError(
                    f"{journal_file(run)}, line {line} is not a trial: it was changed by hand, restore it from a copy."
                )
        if not records.done:
            raise StudyError(f"{run} holds no finished candidate yet: let the search go on.")
        return records

    @property
    def settings(self) -> dict[str, Any]:
        return self.run["settings"]

    @property
    def trials(self) -> list[Trial]:
        return self.study.trials

    @cached_property
    def done(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.ok]

    @property
    def main(self) -> Goal:
        """The main goal, which decides the winner."""
        return self.study.goals.main

    @cached_property
    def size(self) -> Goal | None:
        """The second axis of plots: the search's second goal, else latency or parameters if known, else None."""
        others = [*self.study.goals.goals[1:], GOALS["latency"], GOALS["parameters"]]
        return next((goal for goal in others if goal.name != self.main.name and self._is_known(goal)), None)

    def _is_known(self, goal: Goal) -> bool:
        return all(_is_finite(trial, goal) for trial in self.done)

    @cached_property
    def chosen(self) -> Trial:
        if self.number is None:
            return next((trial for trial in self.ranked if self._may_be_the_model(trial)), self.study.best)
        found = [trial for trial in self.done if trial.id == self.number]
        if not found:
            raise StudyError(f"The journal holds no finished trial {self.number}: `autobert status` shows the run.")
        return found[0]

    def _may_be_the_model(self, trial: Trial) -> bool:
        return self.network is not None and self.network.is_built_as(trial.architecture)

    @cached_property
    def ranked(self) -> list[Trial]:
        """The finished candidates, best first; the finalists come before the others."""
        best = self.study.goals.best
        return best(self.study.finalists) + [trial for trial in best(self.done) if trial not in self.study.finalists]

    @property
    def training(self) -> dict[str, Any] | None:
        """The report on the final training of the model; None if there is none."""
        return self.reports.get(f"training-{self.chosen.id:06d}")

    @cached_property
    def front(self) -> list[Trial]:
        """
        The front of all `axes`, smallest first by the second one, without duplicates. Where a search measured its
        front again: the points that stayed, with the new values.
        """
        if self.size is None:
            return []
        size = self.size.name
        if self.again:
            kept = [trial for trial in self.done if self.again.get(str(trial.id), {}).get("kept")]
            return sorted(map(self.as_measured, kept), key=lambda trial: trial.scores[size])
        different = {tuple(trial.scores[g.name] for g in self.axes): trial for trial in reversed(self.done)}
        front = replace(self.study.goals, goals=self.axes).front(list(different.values()))
        return sorted(front, key=lambda trial: trial.scores[size])

    @property
    def axes(self) -> tuple[Goal, ...]:
        """What the front is drawn in: the goals of the search or, where there is one only, that one and the size."""
        return self.study.goals.goals if len(self.study.goals.goals) > 1 else (self.main, *filter(None, [self.size]))

    @property
    def again(self) -> dict[str, Any]:
        """By number of a trial on the front: its `scores` as measured again, and whether it was `kept`."""
        return self.reports.get("measured-front", {}).get("points", {})

    def as_measured(self, trial: Trial) -> Trial:
        """The trial with the values that were measured again, if it was."""
        return replace(trial, scores={**trial.scores, **self.again.get(str(trial.id), {}).get("scores", {})})

    @property
    def scaled(self) -> dict[str, dict[str, float]]:
        """Baselines by name, with a score in each of the `axes`, smallest first; of others nothing is shown."""
        known = self.reports.get("measured-front", {}).get("baselines", {})
        whole = {name: row for name, row in known.items() if all(goal.name in row for goal in self.axes)}
        return dict(sorted(whole.items(), key=lambda item: item[1][self.axes[-1].name]))

    @cached_property
    def incumbents(self) -> list[Trial]:
        """For every finished candidate, the best one so far."""

        def better(best: Trial, trial: Trial) -> Trial:
            return trial if self.main.value(trial) > self.main.value(best) else best

        return list(accumulate(self.done, better))

    @cached_property
    def new_weights(self) -> list[int]:
        """For each later version of the shared weights, the first trial that was scored with it."""
        first = {trial.weights: trial.id for trial in reversed(self.study.recorded) if trial.ok}
        return sorted(first.values())[1:]

    def count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)

    def cost(self, name: str) -> float:
        """Of all evaluations, those of trials that were scored again included."""
        costs = [trial.cost for trial in self.study.recorded]
        costs += [one.cost for one in (*self.study.rescorings, *self.study.last)]
        return sum(cost.get(name, 0) for cost in costs)


def found_first(names: Iterable[str]) -> list[str]:
    """The order in which a final training's networks are shown."""
    return sorted(names, key=lambda name: (name != "found", name))


def _is_sound(trial: Trial, goals: Goals) -> bool:
    """Whether all values that figures and tables use exist and are numbers."""
    try:
        hash(trial.architecture)
        numbers = [trial.id, *trial.scores.values(), *trial.cost.values()]
    except (AttributeError, TypeError):
        return False
    if not all(isinstance(number, int | float) for number in numbers):
        return False
    has_kinds = all(any(name == "layer_type" for name, _ in layer) for layer in trial.architecture.layers)
    return has_kinds and (not trial.ok or all(_is_finite(trial, goal) for goal in goals.goals))


def _is_finite(trial: Trial, goal: Goal) -> bool:
    return math.isfinite(trial.scores.get(goal.name, math.nan))
