"""What a search is after: named scores, which way is better, limits on them, and the candidates nothing else beats."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.trial import Trial


@dataclass(frozen=True)
class Goal:
    """
    A named score. `cost` says how it is had: `arithmetic` from the configuration (`of_config`), `measured` on this
    machine, `trained`; `unit` what it counts.
    """

    name: str
    direction: Literal["minimize", "maximize"]
    cost: Literal["arithmetic", "measured", "trained"]
    label: str
    unit: str = ""
    of_config: Callable[[AutoBertConfig], float] | None = field(default=None, compare=False)

    def value(self, trial: Trial) -> float:
        """Higher is better, whatever the direction."""
        return self.of(trial.scores)

    def of(self, scores: Mapping[str, float]) -> float:
        """As `value`, of scores that may be partial."""
        return scores[self.name] if self.direction == "maximize" else -scores[self.name]

    def to_json(self) -> dict[str, str]:
        return {name: value for name, value in vars(self).items() if name != "of_config"}


def _masked_lm_parameters(config: AutoBertConfig) -> int:
    return count_parameters(config, "masked_lm")


GOALS = {
    goal.name: goal
    for goal in (
        Goal("loss", "minimize", "trained", "held-out loss", "nats per masked token"),
        Goal("task_score", "maximize", "trained", "mean task score"),
        Goal("latency", "minimize", "measured", "latency", "times the reference"),
        Goal("parameters", "minimize", "arithmetic", "parameters", of_config=_masked_lm_parameters),
        Goal("flops", "minimize", "arithmetic", "FLOPs", "for a row of 128 tokens", of_config=count_flops),
    )
}


def arithmetic_scores(config: AutoBertConfig) -> dict[str, float]:
    """`parameters` of the masked language model and `flops` of one row of 128 tokens: both from the numbers alone."""
    return {goal.name: goal.of_config(config) for goal in GOALS.values() if goal.of_config}


@dataclass(frozen=True)
class Limits:
    """The most and the least that a network may have of each score, e.g. `Limits({"parameters": 5e6})`."""

    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    def broken_by(self, scores: Mapping[str, float]) -> str | None:
        """What is too large or too small, as a sentence; None for a network within the limits."""
        for name, most in self.most.items():
            if scores[name] > most:
                return f"{name} are {scores[name]:,.0f}, the limit is {most:,.0f}"
        for name, least in self.least.items():
            if scores[name] < least:
                return f"{name} are {scores[name]:,.0f}, the least is {least:,.0f}"
        return None


@dataclass(frozen=True)
class Goals:
    """
    One or more goals; the first, `main`, decides which candidate wins. With several, candidates are ranked as in
    NSGA-II (Deb et al., 2002): those that no other beats in every respect first, the less crowded before the others.
    """

    goals: tuple[Goal, ...]
    limits: Limits = Limits()

    @property
    def main(self) -> Goal:
        return self.goals[0]

    @classmethod
    def named(cls, main: str, others: Sequence[str] = (), limits: Limits | None = None, unit: str = "") -> "Goals":
        """Of `GOALS`; `unit` is what the run's own loss counts, where that is the main goal."""
        first = GOALS[main]
        if unit:
            first = Goal(first.name, first.direction, first.cost, first.label, unit)
        return cls((first, *(GOALS[name] for name in others)), limits or Limits())

    def to_json(self) -> dict[str, Any]:
        return {
            "goals": [goal.to_json() for goal in self.goals],
            "limits": {"most": dict(self.limits.most), "least": dict(self.limits.least)},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Goals":
        return cls(tuple(Goal(**goal) for goal in data["goals"]), Limits(**data["limits"]))

    @classmethod
    def read(cls, run: Path, study: str = "") -> "Goals | None":
        """Those of a study of the run in this folder, where that has begun."""
        data = read_report(run / "report" / f"goals{f'-{study}' if study else ''}.json")
        return cls.from_json(data) if data else None

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials, best first; of equals the earlier one."""
        done = [trial for trial in trials if trial.ok]
        if len(self.goals) == 1:
            return sorted(done, key=lambda trial: (-self.main.value(trial), trial.id))
        ranked: list[Trial] = []
        while done:
            best = self.front(done)
            ranked += self._least_crowded_first(best)
            places = {trial.id for trial in best}
            done = [trial for trial in done if trial.id not in places]
        return ranked

    def best(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials by the main goal alone, best first."""
        return Goals((self.main,)).ranked(trials)

    def front(self, trials: Sequence[Trial]) -> list[Trial]:
        """The successful trials that no other equals everywhere and beats somewhere, by the main goal."""
        found: list[Trial] = []
        # Whoever beats a trial stands before it in this order.
        for trial in sorted((t for t in trials if t.ok), key=lambda t: (self._values(t), -t.id), reverse=True):
            if not any(self._beats(other, trial) for other in found):
                found.append(trial)
        return found

    def fitness(self, trials: Sequence[Trial]) -> list[float]:
        """One number for each of these successful trials; of several goals the place in the ranking counts."""
        if len(self.goals) == 1:
            return [self.main.value(trial) for trial in trials]
        place = {trial.id: -float(index) for index, trial in enumerate(self.ranked(trials))}
        return [place[trial.id] for trial in trials]

    def check(self, scores: Mapping[str, float]) -> None:
        """
        Raises:
            ValueError: if a goal has no score, naming those that there are.
        """
        if missing := [goal.name for goal in self.goals if goal.name not in scores]:
            raise ValueError(
                f"There is no score {missing[0]!r}, which is a goal; there are {', '.join(map(repr, scores))}."
            )

    def not_finite(self, scores: Mapping[str, float]) -> str | None:
        """The goal whose score is nan or infinite, as a sentence; None where all are numbers."""
        bad = [goal.name for goal in self.goals if not math.isfinite(scores[goal.name])]
        return f"{bad[0]} is {scores[bad[0]]}" if bad else None

    def _beats(self, one: Trial, other: Trial) -> bool:
        mine, theirs = self._values(one), self._values(other)
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    def _values(self, trial: Trial) -> tuple[float, ...]:
        return tuple(goal.value(trial) for goal in self.goals)

    def _least_crowded_first(self, front: Sequence[Trial]) -> list[Trial]:
        room = dict.fromkeys((trial.id for trial in front), 0.0)
        for goal in self.goals:
            along = sorted(front, key=goal.value)
            low, high = goal.value(along[0]), goal.value(along[-1])
            for index, trial in enumerate(along):
                if index in (0, len(along) - 1):
                    room[trial.id] = float("inf")
                elif high > low:
                    gap = goal.value(along[index + 1]) - goal.value(along[index - 1])
                    room[trial.id] += gap / (high - low)
        return sorted(front, key=lambda trial: (-room[trial.id], -self.main.value(trial), trial.id))
