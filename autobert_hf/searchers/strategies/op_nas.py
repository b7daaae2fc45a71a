"""OP-NAS (AutoBERT-Zero, section 3.3): evolution whose mutations follow upper confidence bounds of operations."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, pstdev
from typing import Literal

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.strategies.evolution import Evolution


@dataclass(eq=False)
class OpNas(Evolution):
    """
    Each position of the path (and each layer's kernel) has a distribution over its operations, softmax(u / T) with
    u_i = mu_i + alpha sqrt(2 log N / N_i) (Eq. 3): mu_i is the mean score of the paths that hold operation i there,
    N_i their number, N the number at the position. The paper gives neither alpha nor the scale of mu, on which the
    softmax depends: scores are z-scored over the history, and untried operations come first. An operation of which
    every candidate failed counts as tried, with the worst score so far, or it would come first for ever.

    `bound_samples="history"`: N is the number of operations in the whole history, as in the paper.
    `kernel_draws="frequency"`: a layer's kernel is drawn by how often the history has it there, each counted once
    more; the paper's empirical distribution, of which it does not say more.
    """

    alpha: float = 0.5
    temperature: float = 0.5
    bound_samples: Literal["position", "history"] = "position"
    kernel_draws: Literal["bounds", "frequency"] = "bounds"
    tried: dict[Hashable, dict[object, tuple[float, int]]] = field(init=False, default_factory=dict)

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        done = [trial for trial in self.history if trial.ok]
        fitness = self.goals.fitness(done)
        mean, spread = (fmean(fitness), pstdev(fitness) or 1.0) if done else (0.0, 1.0)
        scores: dict[Hashable, dict[object, list[float]]] = defaultdict(lambda: defaultdict(list))
        for trial, value in zip(done, fitness, strict=True):
            for position, operation in self.space.genes(trial.architecture):
                scores[position][operation].append((value - mean) / spread)
        worst = (min(fitness) - mean) / spread if done else 0.0
        for position, operation in self.failed_only(scores):
            scores[position][operation].append(worst)
        self.tried = {
            position: {operation: (fmean(values), len(values)) for operation, values in at.items()}
            for position, at in scores.items()
        }

    def failed_only(self, scores: Mapping[Hashable, Mapping[object, list[float]]]) -> list[tuple[Hashable, object]]:
        """The operations of candidates that failed, one entry a candidate, of which no candidate has a score."""
        failed = [trial.architecture for trial in self.history if not trial.ok]
        genes = [gene for architecture in failed for gene in self.space.genes(architecture)]
        return [(position, operation) for position, operation in genes if operation not in scores.get(position, {})]

    def mutant(self, architecture: Architecture, rng: Random) -> Architecture:
        return self.space.mutate(architecture, rng, self.draw)

    def bounds(self, position: Hashable, choices: Sequence) -> list[float]:
        """u_i of every choice at this position; infinite for untried operations."""
        at = self.tried.get(position, {})
        positions = [at] if self.bound_samples == "position" else self.tried.values()
        total = sum(number for counted in positions for _, number in counted.values())
        return [
            at[c][0] + self.alpha * math.sqrt(2 * math.log(total) / at[c][1]) if c in at else math.inf for c in choices
        ]

    def draw(self, position: Hashable, choices: Sequence, rng: Random) -> object:
        if self.kernel_draws == "frequency" and isinstance(position, tuple) and position[0] == "kernel":
            at = self.tried.get(position, {})
            return rng.choices(choices, [1 + at[kernel][1] if kernel in at else 1 for kernel in choices])[0]
        bounds = self.bounds(position, choices)
        untried = [choice for choice, bound in zip(choices, bounds, strict=True) if math.isinf(bound)]
        if untried:
            return rng.choice(untried)
        highest = max(bounds)
        weights = [math.exp((bound - highest) / self.temperature) for bound in bounds]
        return rng.choices(choices, weights)[0]
