"""One search on a planted landscape, by the strategies that real searches use."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from landscapes import Landscape

from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.strategies import STRATEGIES


GOALS = Goals((Goal("value", "maximize", "arithmetic", "value"),))
Incumbents = list[tuple[int, float, float]]


def trials(
    method: str, options: Mapping[str, Any], landscape: Landscape, noise: float, evaluations: int
) -> Iterator[tuple[Trial, float]]:
    """
    The trials of one search, each with its true value. Searches of one landscape start from the same networks, for the
    draws of a first round depend on seed and number alone, and the n-th evaluation has the same noise (standard
    deviation `noise`).
    """
    strategy = STRATEGIES[method](landscape.space, GOALS, landscape.seed, **options)
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
