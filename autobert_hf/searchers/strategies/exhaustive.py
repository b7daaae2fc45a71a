"""Exhaustive search: all networks of a space within the limits."""

from collections.abc import Callable, Sequence

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.restricted import RestrictedSpace


MOST = 20_000


def listed(
    space: RestrictedSpace, windows: Sequence[RestrictedSpace], latency: Callable[[Architecture], float]
) -> list[Architecture]:
    """
    The networks of `space` that lie in any of the `windows`, fastest first.

    Raises:
        LimitError: if the space is too large to list, or the windows are empty.
    """
    if space.space.size > MOST:
        raise LimitError(
            f"The space has {space.space.size:,} networks, more than the {MOST:,} that are listed: give --strategy "
            "evolution, or a larger --width-step and --inner-step."
        )
    inside = [one for one in space.enumerate() if any(window.allowed(one) for window in windows)]
    if not inside:
        raise LimitError("--strategy exhaustive finds no network within the limits: give --strategy evolution.")
    return sorted(inside, key=latency)
