"""Named scores: which way is better, and what they cost to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autobert_hf.searchers.trial import Trial


@dataclass(frozen=True)
class Objective:
    """`cost` says how the score is had: from the configuration, by measuring, or by training."""

    name: str
    direction: Literal["minimize", "maximize"]
    cost: Literal["arithmetic", "measured", "trained"]

    def fitness(self, trial: Trial) -> float:
        """Higher is better, whatever the direction."""
        score = trial.scores[self.name]
        return score if self.direction == "maximize" else -score

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Successful trials, best first; of equals the earlier one."""
        return sorted((t for t in trials if t.ok), key=lambda t: (-self.fitness(t), t.id))


OBJECTIVES = {
    "loss": Objective("loss", "minimize", "trained"),
    "parameters": Objective("parameters", "minimize", "arithmetic"),
    "flops": Objective("flops", "minimize", "arithmetic"),
}
