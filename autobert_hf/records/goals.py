"""What a search is after: named scores, which way is better, limits on them, and the candidates nothing else beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.trial import Trial


@dataclass(frozen=True)
class Objective:
    """`cost` says how the score is had: from the configuration, by measuring, or by training."""

    name: str
    direction: Literal["minimize", "maximize"]
    cost: Literal["arithmetic", "measured", "trained"]
    label: str

    def value(self, trial: Trial) -> float:
        """Higher is better, whatever the direction."""
        score = trial.scores[self.name]
        return score if self.direction == "maximize" else -score


OBJECTIVES = {
    "loss": Objective("loss", "minimize", "trained", "held-out loss"),
    "task_score": Objective("task_score", "maximize", "trained", "mean task score"),
    "parameters": Objective("parameters", "minimize", "arithmetic", "parameters"),
    "flops": Objective("flops", "minimize", "arithmetic", "FLOPs"),
}


def arithmetic_scores(config: AutoBertConfig) -> dict[str, float]:
    """`parameters` of the masked language model and `flops` of one row of 128 tokens: both from the numbers alone."""
    return {"parameters": count_parameters(config, "masked_lm"), "flops": count_flops(config)}


@dataclass(frozen=True)
class Limits:
    """The most that a network may have of each score, e.g. `Limits({"parameters": 5e6})`."""

    most: Mapping[str, float]

    def broken_by(self, scores: Mapping[str, float]) -> str | None:
        """What is too large, as a sentence; None for a network within the limits."""
        for name, most in self.most.items():
            if scores[name] > most:
                return f"{name} are {scores[name]:,.0f}, the limit is {most:,.0f}"
        return None


@dataclass(frozen=True)
class Goals:
    """
    One or more objectives; the first, `main`, decides which candidate wins. With several, candidates are ranked as in
    NSGA-II (Deb et al., 2002): those that no other beats in every respect first, the less crowded before the others.
    """

    objectives: tuple[Objective, ...]

    @property
    def main(self) -> Objective:
        return self.objectives[0]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Goals":
        """
        Those of a run: the mean score of its proxy tasks where it has any, else the held-out loss, and what it trades
        that off against.
        """
        main = "task_score" if settings.get("proxy_task") else "loss"
        return cls(tuple(OBJECTIVES[name] for name in (main, *settings.get("trade_off", ()))))

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials, best first; of equals the earlier one."""
        done = [trial for trial in trials if trial.ok]
        if len(self.objectives) == 1:
            return sorted(done, key=lambda trial: (-self.main.value(trial), trial.id))
        ranked: list[Trial] = []
        while done:
            best = self.front(done)
            ranked += self._least_crowded_first(best)
            places = {trial.id for trial in best}
            done = [trial for trial in done if trial.id not in places]
        return ranked

    def best(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials by the main objective alone, best first."""
        return Goals((self.main,)).ranked(trials)

    def front(self, trials: Sequence[Trial]) -> list[Trial]:
        """The successful trials that no other equals everywhere and beats somewhere, by the main objective."""
        found: list[Trial] = []
        # Whoever beats a trial stands before it in this order.
        for trial in sorted((t for t in trials if t.ok), key=lambda t: (self._values(t), -t.id), reverse=True):
            if not any(self._beats(other, trial) for other in found):
                found.append(trial)
        return found

    def fitness(self, trials: Sequence[Trial]) -> list[float]:
        """One number for each of these successful trials; of several objectives the place in the ranking counts."""
        if len(self.objectives) == 1:
            return [self.main.value(trial) for trial in trials]
        place = {trial.id: -float(index) for index, trial in enumerate(self.ranked(trials))}
        return [place[trial.id] for trial in trials]

    def _beats(self, one: Trial, other: Trial) -> bool:
        mine, theirs = self._values(one), self._values(other)
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    def _values(self, trial: Trial) -> tuple[float, ...]:
        return tuple(objective.value(trial) for objective in self.objectives)

    def _least_crowded_first(self, front: Sequence[Trial]) -> list[Trial]:
        room = dict.fromkeys((trial.id for trial in front), 0.0)
        for objective in self.objectives:
            along = sorted(front, key=objective.value)
            low, high = objective.value(along[0]), objective.value(along[-1])
            for index, trial in enumerate(along):
                if index in (0, len(along) - 1):
                    room[trial.id] = float("inf")
                elif high > low:
                    gap = objective.value(along[index + 1]) - objective.value(along[index - 1])
                    room[trial.id] += gap / (high - low)
        return sorted(front, key=lambda trial: (-room[trial.id], -self.main.value(trial), trial.id))
