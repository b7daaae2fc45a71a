"""The goals of a search: named scores and their direction, limits on scores, ranking and Pareto front."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autobert_hf.modeling.arithmetic import (
    count_attention_parameters,
    count_embedding_parameters,
    count_encoder_parameters,
    count_feed_forward_parameters,
    count_flops,
    count_parameters,
)
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.trial import Trial


@dataclass(frozen=True)
class Goal:
    """
    A named score to minimize or maximize. `cost`: how it is obtained, `arithmetic` from the configuration
    (`of_config`), `measured` on this machine, from a network with random weights (`untrained`), or by training
    (`trained`); `label` and `unit` are for display. `floor`: the score of a network that does not use context, where
    that is known.
    """

    name: str
    direction: Literal["minimize", "maximize"]
    cost: Literal["arithmetic", "measured", "untrained", "trained"]
    label: str
    unit: str = ""
    floor: float | None = None
    of_config: Callable[[AutoBertConfig], float] | None = field(default=None, compare=False)

    def value(self, trial: Trial) -> float:
        """The trial's score with a sign such that higher is better."""
        return self.of(trial.scores)

    def of(self, scores: Mapping[str, float]) -> float:
        """As `value`, for scores by name, which may be partial."""
        return scores[self.name] if self.direction == "maximize" else -scores[self.name]

    def shown(self, scores: Mapping[str, float]) -> str:
        """The score as text: large ones in whole numbers."""
        value = scores[self.name]
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "of_config"}


def _masked_lm_parameters(config: AutoBertConfig) -> int:
    return count_parameters(config, "masked_lm")


def _width(config: AutoBertConfig) -> int:
    return config.hidden_size


# Scores of a network that nothing has been trained for, which stand in for the quality after training.
PROXIES = {
    **{
        name: Goal(name, "maximize", "arithmetic", name.replace("_", " ").replace("feed ", "feed-"), of_config=count)
        for name, count in (
            ("decoder_parameters", count_encoder_parameters),
            ("total_parameters", _masked_lm_parameters),
            ("attention_parameters", count_attention_parameters),
            ("feed_forward_parameters", count_feed_forward_parameters),
            ("embedding_parameters", count_embedding_parameters),
            ("width", _width),
        )
    },
    "gradient_norm": Goal("gradient_norm", "maximize", "untrained", "gradient norm"),
    "synflow": Goal("synflow", "maximize", "untrained", "synaptic flow", "log"),
    "separation": Goal("separation", "maximize", "untrained", "separation of contexts", "log"),
}
GOALS = PROXIES | {
    goal.name: goal
    for goal in (
        Goal("loss", "minimize", "trained", "held-out loss", "nats per masked token"),
        Goal("task_score", "maximize", "trained", "mean task score"),
        Goal("latency", "minimize", "measured", "latency", "times the reference"),
        Goal("memory", "minimize", "measured", "peak memory", "MB"),
        Goal("parameters", "minimize", "arithmetic", "parameters", of_config=_masked_lm_parameters),
        Goal("flops", "minimize", "arithmetic", "FLOPs", "for a row of 128 tokens", of_config=count_flops),
    )
}


SIZES = ("parameters", "flops")  # what every search records of its candidates


def arithmetic_scores(config: AutoBertConfig, more: Sequence[str] = ()) -> dict[str, float]:
    """
    `parameters` of the language model and `flops` of one row of 128 tokens, from the configuration, and `more` goals
    by name; those that need more than the configuration are left out.
    """
    goals = [GOALS[name] for name in (*SIZES, *more)]
    return {goal.name: goal.of_config(config) for goal in goals if goal.of_config}


def _verb(name: str) -> str:
    return "are" if name.endswith("s") else "is"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True)
class Limits:
    """Maximum and minimum values of scores, e.g. `Limits({"parameters": 5e6})`."""

    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    def broken_by(self, scores: Mapping[str, float]) -> str | None:
        """The first broken limit as a sentence; None for a network within the limits. Absent scores break none."""
        for name, most in self.most.items():
            if name in scores and scores[name] > most:
                return f"{name} {_verb(name)} {_shown(scores[name])}, the limit is {_shown(most)}"
        for name, least in self.least.items():
            if name in scores and scores[name] < least:
                return f"{name} {_verb(name)} {_shown(scores[name])}, the least is {_shown(least)}"
        return None


@dataclass(frozen=True)
class Goals:
    """
    One or more goals; the first, `main`, decides which candidate wins. With several, candidates are ranked as in
    NSGA-II (Deb et al., 2002): by Pareto front, and within a front the less crowded first. `keep_ties`: a candidate
    leaves the front only if another one is strictly better in all goals, as in LiteTransformerSearch; by default
    also if it is equal in some of them.
    """

    goals: tuple[Goal, ...]
    limits: Limits = Limits()
    keep_ties: bool = False

    @property
    def main(self) -> Goal:
        return self.goals[0]

    @classmethod
    def named(
        cls,
        main: str,
        others: Sequence[str] = (),
        limits: Limits | None = None,
        unit: str = "",
        floor: float | None = None,
    ) -> "Goals":
        """Goals from `GOALS` by name; `unit` and `floor` are those of the main goal, for the run's own loss."""
        first = replace(GOALS[main], unit=unit or GOALS[main].unit, floor=floor)
        return cls((first, *(GOALS[name] for name in others)), limits or Limits())

    def to_json(self) -> dict[str, Any]:
        return {
            "goals": [goal.to_json() for goal in self.goals],
            "limits": {"most": dict(self.limits.most), "least": dict(self.limits.least)},
            "keep_ties": self.keep_ties,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Goals":
        goals = tuple(Goal(**goal) for goal in data["goals"])
        return cls(goals, Limits(**data["limits"]), data.get("keep_ties", False))

    @classmethod
    def read(cls, run: Path, study: str = "") -> "Goals | None":
        """The goals of a study of the run in this folder; None if the study has not begun."""
        data = read_report(run / "report" / f"goals{f'-{study}' if study else ''}.json")
        return cls.from_json(data) if data else None

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials, best first; of equal ones, the earlier first."""
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
        """The Pareto front: successful trials that no other dominates, sorted by the main goal, best first."""
        # A trial that dominates another one comes before it in this order.
        ranked = sorted((t for t in trials if t.ok), key=lambda t: (self._values(t), -t.id), reverse=True)
        values = np.array([self._values(trial) for trial in ranked], dtype=float)
        found: list[int] = []
        for index, mine in enumerate(values):
            if not self._beaten(mine, values[found]):
                found.append(index)
        return [ranked[index] for index in found]

    def fitness(self, trials: Sequence[Trial]) -> list[float]:
        """Fitness of successful trials, higher is better: the goal's value or, with several goals, minus the rank."""
        if len(self.goals) == 1:
            return [self.main.value(trial) for trial in trials]
        place = {trial.id: -float(index) for index, trial in enumerate(self.ranked(trials))}
        return [place[trial.id] for trial in trials]

    def check(self, scores: Mapping[str, float]) -> None:
        """
        Raises:
            ValueError: if a goal or a limited score is missing; the message names the available scores.
        """
        needed = {goal.name: "goal" for goal in self.goals}
        needed = dict.fromkeys([*self.limits.most, *self.limits.least], "limit") | needed
        for name, what in needed.items():
            if name not in scores:
                known = ", ".join(map(repr, scores))
                raise ValueError(f"The {what} {name!r} has no score; there are scores for {known}.")

    def not_finite(self, scores: Mapping[str, float]) -> str | None:
        """The goal whose score is nan or infinite, as a sentence; None if all are finite."""
        bad = [goal.name for goal in self.goals if not math.isfinite(scores[goal.name])]
        return f"{bad[0]} is {scores[bad[0]]}" if bad else None

    def _beaten(self, mine: np.ndarray, others: np.ndarray) -> bool:
        """Whether one of `others` (trials, goals) dominates `mine` (goals,); higher values are better."""
        if self.keep_ties:
            return bool((others > mine).all(axis=1).any())
        return bool(((others >= mine).all(axis=1) & (others > mine).any(axis=1)).any())

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
