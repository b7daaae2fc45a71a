"""Exhaustive search: all networks of a space within latency windows or any limits, or a sample without repetition."""

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
TRIES = 10_000


def refuse_unlisted(space: Listable, way_out: str) -> None:
    """
    Raises:
        LimitError: if the space is too large to list.
    """
    if space.size > MOST:
        raise LimitError(f"The space has {space.size:,} networks, more than the {MOST:,} that are listed: {way_out}.")


def listed(
    space: RestrictedSpace, windows: Mapping[float, RestrictedSpace], latency: Callable[[Architecture], float]
) -> list[Architecture]:
    """
    The networks of `space` that lie in any of the `windows`, which are known by their limits; fastest first.

    Raises:
        LimitError: if the space is too large to list, or a window is empty.
    """
    refuse_unlisted(space.space, "give --strategy evolution, or a larger --width-step and --inner-step")
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


def drawn(
    space: Listable, number: int, seed: int, allowed: Callable[[Architecture], bool] = lambda one: True
) -> list[Architecture]:
    """
    `number` different networks of `space` that are `allowed`, drawn at random; fewer if there are not so many, or, in
    a space too large to list, if 10,000 draws for each find no more.

    Raises:
        LimitError: if nothing is allowed.
    """
    rng = Random(derive(seed, "drawn"))
    if space.size <= MOST:
        within = [one for one in space.enumerate() if allowed(one)]
        found = rng.sample(within, min(number, len(within)))
    else:
        found = _found(space, number, rng, allowed)
    if not found:
        raise LimitError("No network of the space keeps within the limits: raise --max-params or --max-flops.")
    return found


def _found(space: Listable, number: int, rng: Random, allowed: Callable[[Architecture], bool]) -> list[Architecture]:
    found: dict[Architecture, None] = {}
    while len(found) < number:
        draws = (space.sample(rng) for _ in range(TRIES))
        if (new := next((one for one in draws if one not in found and allowed(one)), None)) is None:
            break
        found[new] = None
    return [*found]
