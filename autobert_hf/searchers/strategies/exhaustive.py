"""Exhaustive search: all networks of a space within the limits."""

from collections.abc import Callable, Mapping

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.restricted import RestrictedSpace


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
