"""The front of a search measured again, because noise makes a candidate look better than it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.final_latency import measured_rows, verdict
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.peak_memory import process_memory
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.front import FrontSettings


REPORT = "measured-front"
GROUP = 8  # networks that are timed together: all are in memory at once


@dataclass(frozen=True)
class MeasuredFront:
    """
    `report/measured-front.json`: for each point of the front, by trial, its scores as first recorded and as measured
    again, whether it was kept, and if not why. What is there is not measured again, as are the rows of
    `report/latency.json`. Peak memory is measured in a process of its own.

    A front of three goals that grow together holds most candidates of a search (of 200 random ones 168), so only
    `settings.points` of its points are measured: those that no other beats in the main goal and one of the others,
    evenly spread along the main goal.
    """

    run: Run
    base: AutoBertConfig
    reference: tuple[PreTrainedModel, str]
    settings: FrontSettings

    def measure(self, study: Study) -> None:
        """Only the main process measures."""
        if self.run.team.is_main:
            front = self.chosen(study)
            again = [replace(trial, scores={**trial.scores, **found}) for trial, found in self._measured(front)]
            self.run.record(REPORT, {"points": self._points(study, front, again)})
        self.run.team.wait()

    def kept(self, study: Study) -> list[Trial]:
        """The points of the front that are there to stay, best first, with the scores of their trials."""
        points = self.points()
        return [trial for trial in self.chosen(study) if points.get(str(trial.id), {"kept": True})["kept"]]

    def chosen(self, study: Study) -> list[Trial]:
        """The points that are measured again, best first."""
        front, goals, number = study.front(), study.goals, self.settings.points
        if len(front) <= number:
            return front
        found: dict[int, Trial] = {}
        for place, other in enumerate(goals.goals[1:]):
            share = (number - len(found)) // (len(goals.goals) - 1 - place)
            pair = replace(goals, goals=(goals.main, other)).front(front)
            new = [trial for trial in pair if trial.id not in found]
            found |= {trial.id: trial for trial in evenly(new, share)}
        return goals.best([*found.values()])

    def points(self) -> dict[str, Any]:
        return read_report(self.run.path / "report" / f"{REPORT}.json").get("points", {})

    def _measured(self, front: Sequence[Trial]) -> list[tuple[Trial, dict[str, float]]]:
        rows, known = self._latencies(front), self.points()
        scores = {trial.id: {"latency": rows[f"trial {trial.id}"]["ratio"]} for trial in front}
        if self.settings.memory:
            new = [trial for trial in front if str(trial.id) not in known]
            memory = process_memory([self._config(trial) for trial in new], self.settings.workload) if new else []
            found = {trial.id: value for trial, value in zip(new, memory, strict=True)}
            for trial in front:
                scores[trial.id]["memory"] = (
                    found[trial.id] if trial.id in found else known[str(trial.id)]["scores"]["memory"]
                )
        return [(trial, scores[trial.id]) for trial in front]

    def _latencies(self, front: Sequence[Trial]) -> dict[str, dict[str, Any]]:
        """Groups are timed in alternation; a noisy machine is allowed the error of its first noisy group."""
        path, error = self.run.path / "report" / "latency.json", self.settings.latency_error
        rows: dict[str, dict[str, Any]] = {}
        for start in range(0, len(front), GROUP):
            group = front[start : start + GROUP]
            models = {f"trial {trial.id}": untrained(self._config(trial)) for trial in group}
            expected = {f"trial {trial.id}": trial.scores["latency"] for trial in group}
            found = measured_rows(path, models, expected, *self.reference, self.settings.workload, error=error)
            error = max(error, *(row["error"] for row in found.values()))
            rows |= found
        return rows

    def _config(self, trial: Trial) -> AutoBertConfig:
        return trial.architecture.to_config(self.base)

    def _points(self, study: Study, front: Sequence[Trial], again: Sequence[Trial]) -> dict[str, Any]:
        rows = read_report(self.run.path / "report" / "latency.json")
        slow = {trial.id: self._over_limit(study, rows[f"trial {trial.id}"]) for trial in again}
        within = [trial for trial in again if slow[trial.id] is None]
        stays = {trial.id for trial in study.goals.front(within)}
        return {
            str(trial.id): {
                "scores": {goal.name: now.scores[goal.name] for goal in study.goals.goals},
                "first": {goal.name: trial.scores[goal.name] for goal in study.goals.goals},
                "kept": trial.id in stays,
                "reason": "" if trial.id in stays else slow[trial.id] or "another point is better in all goals",
            }
            for trial, now in zip(front, again, strict=True)
        }

    def _over_limit(self, study: Study, row: dict[str, Any]) -> str | None:
        limit = study.goals.limits.most.get("latency")
        return None if limit is None else verdict(row, limit)


def evenly(trials: Sequence[Trial], number: int) -> list[Trial]:
    """`number` of the trials, evenly spaced, with both ends."""
    if len(trials) <= number:
        return [*trials]
    step = (len(trials) - 1) / max(number - 1, 1)
    return [trials[round(place * step)] for place in range(number)]
