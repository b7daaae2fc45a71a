"""AutoTinyBERT's strategies for candidates within latency limits (section 3.3)."""

from collections.abc import Callable

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.searchers.spaces.latency_windows import LatencyWindows
from autobert_hf.searchers.strategies.exhaustive import listed
from autobert_hf.searchers.strategies.fast_rule import fast_rule
from autobert_hf.searchers.strategies.fixed_list import FixedList
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import Roulette
from autobert_hf.searchers.strategies.round_robin import RoundRobin
from autobert_hf.searchers.strategies.strategy import Strategy


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
    The strategy `name` and its number of trials. `evolution` and `random` search one limit per round, in turn; `fast`
    applies a rule instead of a search; `exhaustive` evaluates every network within the limits.

    Raises:
        LimitError: if no network is within the limits, or the space is too large to list.
    """
    limits = windows.latency.settings.limits_of_latency
    spaces = [windows.space(limit) for limit in limits]
    if name == "fast":
        rule = fast_rule(windows.whole, windows.latency, limits, windows.allowed)
        return FixedList(rule), len(rule)
    if name == "exhaustive":
        found = listed(windows.allowed_space, spaces, windows.latency)
        return FixedList(found), min(num_trials, len(found))
    kind = Roulette if name == "evolution" else RandomSearch
    searches = [kind(space, goals, seed, population, population, 1, allowed) for space in spaces]
    return RoundRobin(searches), num_trials
