"""Exhaustive search: all networks of a space within latency windows, or within any limits."""

from collections.abc import Callable, Mapping
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.restricted import RestrictedSpace
from autobert_hf.searchers.strategies.each_once import Listable


MOST = 20_000


def listed(
    space: RestrictedSpace, windows: Mapping[float, RestrictedSpace], latency: Callable[[Architecture], float]
) -> list[Architecture]:
    """
    The networks of `space` that lie in any of the `windows`, which are known by their limits; fastest first.

    Raises:
        LimitError: if the space is too large to list, or a window is empty.
    """
    if space.space.size > MOST:
        raise LimitError(
            f"The space has {space.space.size:,} networks, more than the {MOST:,} that are listed: give --strategy "
            "evolution, or a larger --width-step and --inner-step."
        )
    inside = [one for one in space.enumerate() if any(window.allowed(one) for window in windows.values())]
    for limit, window in windows.items():
        if not any(map(window.allowed, inside)):
            raise LimitError(
                f"--strategy exhaustive finds no network just within --max-latency {limit:g}: raise it, or give a "
                "smaller --window-low."
            )
    return sorted(inside, key=latency)


def all_within(
    space: Listable, known: Callable[[Architecture], Mapping[str, float]], limits: Limits, seed: int
) -> list[Architecture]:
    """
    The networks of `space` whose `known` scores keep within the limits, in random order, so that the beginning of the
    list is a fair sample.

    Raises:
        LimitError: if there are none; the message names the smallest values.
    """
    scores = {architecture: known(architecture) for architecture in space.enumerate()}
    found = [architecture for architecture, own in scores.items() if limits.broken_by(own) is None]
    if not found:
        smallest = ", ".join(
            f"{min(own[name] for own in scores.values()):,.4g} {name} (limit {most:,.4g})"
            for name, most in limits.most.items()
        )
        raise LimitError(
            f"None of the {len(scores):,} networks of the space keeps within all limits; the smallest have "
            f"{smallest}: raise a limit, or leave one out."
        )
    Random(derive(seed, "exhaustive")).shuffle(found)
    return found
