"""One search on a planted landscape, by the strategies that real searches use."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np
from landscapes import Landscape

from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.strategies.op_nas import OpNas


GOALS = Goals((Goal("value", "maximize", "arithmetic", "value"),))
Incumbents = list[tuple[int, float, float]]


class QuickOpNas(OpNas):
    """
    The same draws at a third of the time (a test holds the two together): a guided formula takes hundreds of draws
    before one is legal, and their weights change only with the history.
    """

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        self.weights: dict[tuple[Hashable, tuple], tuple[Sequence, list[float]]] = {}

    def draw(self, position: Hashable, choices: Sequence, rng: Random) -> object:
        key = (position, tuple(choices))
        if key not in self.weights:
            bounds = np.array(self.bounds(position, choices))
            untried = [choice for choice, bound in zip(choices, bounds, strict=True) if np.isinf(bound)]
            self.weights[key] = (untried or choices), [] if untried else self.softmax_sums(bounds)
        allowed, sums = self.weights[key]
        return rng.choices(allowed, cum_weights=sums)[0] if sums else rng.choice(allowed)

    def softmax_sums(self, bounds: np.ndarray) -> list[float]:
        highest = bounds.max()
        return list(accumulate(math.exp((bound - highest) / self.temperature) for bound in bounds.tolist()))


def trials(
    method: str, options: Mapping[str, Any], landscape: Landscape, noise: float, evaluations: int
) -> Iterator[tuple[Trial, float]]:
    """
    The trials of one search, each with its true value. Searches of one landscape start from the same networks, for the
    draws of a first round depend on seed and number alone, and the n-th evaluation has the same noise (standard
    deviation `noise`).
    """
    kind = QuickOpNas if method == "op-nas" else STRATEGIES[method]
    strategy = kind(landscape.space, GOALS, landscape.seed, **options)
    done, history = 0, list[Trial]()
    while done < evaluations:
        proposals = [strategy.ask(done + i) for i in range(min(strategy.round_size(), evaluations - done))]
        told = []
        for number, proposal in enumerate(proposals, start=done):
            true = landscape.value(proposal.architecture)
            observed = true + Random(derive(landscape.seed, number, "noise")).gauss(0, noise)
            told.append(Trial(number, proposal, 0, {"value": observed}))
            yield told[-1], true
        history += told
        strategy.tell(history)
        done += len(told)


def search(
    method: str, options: Mapping[str, Any], landscape: Landscape, noise: float, evaluations: int
) -> Incumbents:
    """
    The incumbent, which is the network with the best observed value, each time it changes: (evaluations so far, what
    was observed, what is true).
    """
    incumbents: Incumbents = []
    for trial, true in trials(method, options, landscape, noise, evaluations):
        observed = trial.scores["value"]
        if not incumbents or observed > incumbents[-1][1]:
            incumbents.append((trial.id + 1, round(observed, 4), round(true, 4)))
    return incumbents


def at(incumbents: Incumbents, evaluations: int) -> tuple[float, float]:
    """Observed and true value of the incumbent after so many evaluations."""
    return next((observed, true) for number, observed, true in reversed(incumbents) if number <= evaluations)


def needed(incumbents: Incumbents, level: float) -> float:
    """Evaluations until the incumbent's true value reaches the level; infinity where it never does."""
    return next((float(number) for number, _, true in incumbents if true >= level), float("inf"))
