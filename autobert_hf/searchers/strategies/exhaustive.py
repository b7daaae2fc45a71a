"""Exhaustive search: all networks of a space within latency windows, or within any limits."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest
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
    space: Listable, known: Callable[[Architecture], Mapping[str, float]], limits: Sequence[Limits], seed: int
) -> list[Architecture]:
    """
    The networks of `space` whose `known` scores keep within any of the `limits`, in random order. The limits take
    turns, so that the beginning of the list is a fair sample for each.

    Raises:
        LimitError: if nothing keeps within one of them; the message names the smallest values.
    """
    scores = {architecture: known(architecture) for architecture in space.enumerate()}
    order = Random(derive(seed, "exhaustive")).sample([*scores], len(scores))
    found = [[one for one in order if own.broken_by(scores[one]) is None] for own in limits]
    for own, kept in zip(limits, found, strict=True):
        if not kept:
            least = {name: min(values[name] for values in scores.values()) for name in own.most}
            smallest = ", ".join(f"{least[name]:,.4g} {name} (limit {most:,.4g})" for name, most in own.most.items())
            raise LimitError(
                f"None of the {len(scores):,} networks of the space keeps within all limits; the smallest have "
                f"{smallest}: raise a limit, or leave one out."
            )
    turns = chain.from_iterable(zip_longest(*found))
    return [one for one in dict.fromkeys(turns) if one is not None]
