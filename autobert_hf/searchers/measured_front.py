"""The front of a search measured again, because noise makes a candidate look better than it is."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.final_latency import measured_rows, verdict
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.peak_memory import process_memory
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import arithmetic_scores
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.near_baselines import evenly
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.front import FrontSettings


REPORT = "measured-front"
ROUNDS = 6  # as of samples for a predictor
GROUP = 4  # networks that are timed together: all are in memory at once
DOMINATED = "measured again, another point is better in all goals"
Scores = dict[str, float]


@dataclass(frozen=True)
class MeasuredFront:
    """
    `report/measured-front.json`: for each point of the front, by trial, its scores as first recorded and as measured
    again, whether it was kept, and if not why; and the scores of `baselines`. What is there is not measured again, as
    are the rows of `report/latency.json`. Peak memory is measured in a process of its own.

    A front of three goals that grow together holds most candidates of a search (of 200, it held 168), so only
    `settings.points` of its points are measured: those that no other beats in the main goal and one of the others,
    evenly spread along the main goal.
    """

    run: Run
    base: AutoBertConfig
    reference: tuple[PreTrainedModel, str]
    settings: FrontSettings
    baselines: Mapping[str, Architecture] = field(default_factory=dict)

    def measure(self, study: Study) -> None:
        """Only the main process measures."""
        if self.run.team.is_main:
            front = self.chosen(study)
            networks = {f"trial {trial.id}": trial.architecture for trial in front} | dict(self.baselines)
            predicted = {f"trial {trial.id}": trial.scores["latency"] for trial in front}
            found = self._measured(networks, predicted)
            report = self._report(study, front, found)
            self.run.record(REPORT, report)
            warn_of_noise(report["points"])
        self.run.team.wait()

    def kept(self, study: Study) -> list[Trial]:
        """The points of the front that are there to stay, best first, with the scores of their trials."""
        points = read_report(self._path(REPORT)).get("points", {})
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

    def _measured(self, networks: Mapping[str, Architecture], predicted: Scores) -> dict[str, Scores]:
        """Latency and memory by name."""
        configs = {name: one.to_config(self.base) for name, one in networks.items()}
        latencies = self._latencies(configs, predicted)
        if not self.settings.memory:
            return {name: {"latency": time} for name, time in latencies.items()}
        memory = self._memory(configs)
        return {name: {"latency": time, "memory": memory[name]} for name, time in latencies.items()}

    def _latencies(self, configs: Mapping[str, AutoBertConfig], predicted: Scores) -> Scores:
        """Groups are timed in alternation; a noisy machine is allowed the error of its first noisy group."""
        error, names, found = self.settings.latency_error, [*configs], Scores()
        for start in range(0, len(names), GROUP):
            models = {name: untrained(configs[name]) for name in names[start : start + GROUP]}
            path, workload = self._path("latency"), self.settings.workload
            rows = measured_rows(path, models, predicted, *self.reference, workload, error, ROUNDS)
            error = max(error, *(row["error"] for row in rows.values()))
            found |= {name: row["ratio"] for name, row in rows.items()}
        return found

    def _memory(self, configs: Mapping[str, AutoBertConfig]) -> Scores:
        known: Scores = read_report(self._path("memory"))
        new = [name for name in configs if name not in known]
        if new:
            found = process_memory([configs[name] for name in new], self.settings.workload)
            known |= dict(zip(new, found, strict=True))
            self.run.record("memory", known)
        return {name: known[name] for name in configs}

    def _report(self, study: Study, front: Sequence[Trial], found: Mapping[str, Scores]) -> dict[str, Any]:
        again = [replace(trial, scores={**trial.scores, **found[f"trial {trial.id}"]}) for trial in front]
        slow = {trial.id: self._over_limit(study, trial) for trial in front}
        stays = {trial.id for trial in study.goals.front([trial for trial in again if not slow[trial.id]])}
        names = [goal.name for goal in study.goals.goals]
        points = {
            str(trial.id): {
                "scores": {name: now.scores[name] for name in names},
                "first": {name: trial.scores[name] for name in names},
                "kept": trial.id in stays,
                "reason": "" if trial.id in stays else slow[trial.id] or DOMINATED,
            }
            for trial, now in zip(front, again, strict=True)
        }
        sizes = {name: arithmetic_scores(one.to_config(self.base), names) for name, one in self.baselines.items()}
        return {"points": points, "baselines": {name: sizes[name] | found[name] for name in sizes}}

    def _over_limit(self, study: Study, trial: Trial) -> str:
        limit = study.goals.limits.most.get("latency")
        row = read_report(self._path("latency"))[f"trial {trial.id}"]
        return "" if limit is None else verdict(row, limit) or ""

    def _path(self, report: str) -> Path:
        return self.run.path / "report" / f"{report}.json"


def warn_of_noise(points: Mapping[str, Any]) -> None:
    left_out = [number for number, point in points.items() if not point["kept"]]
    if left_out:
        warnings.warn(
            f"Measured again, {len(left_out)} of {len(points)} points do not stay on the front (trial "
            f"{', '.join(left_out)}): noise made them look better than they are. report/{REPORT}.json holds both "
            "values.",
            stacklevel=2,
        )
