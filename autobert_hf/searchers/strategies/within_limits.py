"""AutoTinyBERT's strategies for candidates within latency limits (section 3.3)."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.latency_windows import LatencyWindows
from autobert_hf.searchers.spaces.restricted import EmptyError, RestrictedSpace
from autobert_hf.searchers.strategies.exhaustive import listed
from autobert_hf.searchers.strategies.fast_rule import fast_rule
from autobert_hf.searchers.strategies.fixed_list import FixedList
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import GenerationRoulette, Roulette
from autobert_hf.searchers.strategies.round_robin import RoundRobin
from autobert_hf.searchers.strategies.strategy import Strategy


KINDS = {"evolution": Roulette, "evolution-paper": GenerationRoulette, "random": RandomSearch}
LEAST = 4  # fewer than four have hardly a parent to choose


def within_limits(
    name: str,
    windows: LatencyWindows,
    goals: Goals,
    seed: int,
    population: int,
    num_trials: int,
    allowed: Callable[[Architecture], bool],
) -> tuple[Strategy, int]:
    """
    The strategy `name` and its number of trials. `evolution` and `random` search one limit per round, in turn, in
    generations that share `population`; `fast` applies a rule instead of a search; `exhaustive` evaluates every
    network within the limits.

    Raises:
        LimitError: if no network meets one of the limits, the trials are too few for a search for each of them, or
            the space is too large to list.
    """
    limits = windows.latency.settings.limits_of_latency
    spaces = [windows.space(limit) for limit in limits]
    if name == "fast":
        rule = fast_rule(windows.whole, windows.latency, limits, windows.allowed)
        return FixedList(rule), len(rule)
    if name == "exhaustive":
        found = listed(windows.allowed_space, dict(zip(limits, spaces, strict=True)), windows.latency)
        return FixedList(found), min(num_trials, len(found))
    size = generation(population, len(limits))
    check_budget(num_trials, size, len(limits), generations=1 if name == "random" else 2)
    check_each(limits, spaces, allowed, seed)
    searches = [KINDS[name](space, goals, seed, size, size, 1, allowed) for space in spaces]
    return RoundRobin(searches), num_trials


def generation(population: int, limits: int) -> int:
    """Candidates in a generation of one limit: its share of `population`, but no fewer than four, if there are."""
    return max(population // limits, min(population, LEAST))


def check_budget(num_trials: int, size: int, limits: int, generations: int) -> None:
    """
    Raises:
        LimitError: if several limits have not so many generations of `size` each.
    """
    needed = limits * generations * size
    if limits > 1 and num_trials < needed:
        what = "random candidates and one of mutations" if generations > 1 else "candidates"
        raise LimitError(
            f"--num-trials {num_trials} is too few for {limits} latency limits, each of which needs a generation of "
            f"{size} {what}: give --num-trials {needed}, a smaller --population or fewer limits."
        )


def check_each(
    limits: Sequence[float], spaces: Sequence[RestrictedSpace], allowed: Callable[[Architecture], bool], seed: int
) -> None:
    """
    Raises:
        LimitError: if no random network in the window of a limit is `allowed`, which means the other limits.
    """
    for limit, space in zip(limits, spaces, strict=True):
        both = RestrictedSpace(space.space, partial(_both, space.allowed, allowed))
        try:
            both.sample(Random(derive(seed, "limits")))
        except EmptyError as error:
            raise LimitError(
                f"No network takes --max-latency {limit:g} and keeps within the other limits: raise it, "
                "--max-params or --max-flops, or give a smaller --window-low, --width-step or --inner-step."
            ) from error


def _both(one: Callable[[Architecture], bool], other: Callable[[Architecture], bool], found: Architecture) -> bool:
    return one(found) and other(found)
