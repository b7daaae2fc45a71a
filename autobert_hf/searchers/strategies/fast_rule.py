"""AutoTinyBERT's fast variant (section 3.3): a rule in place of a search."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


def keeps_rule(architecture: Architecture) -> bool:
    """Whether 1.6 d_m <= d_f <= 1.9 d_m and 0.7 d_m <= d_q <= 1.0 d_m, for a network with identical layers."""
    sizes = dict(architecture.settings)
    width, attention = sizes["hidden_size"], sizes["num_attention_heads"] * sizes["head_dim"]
    return 1.6 * width <= sizes["intermediate_size"] <= 1.9 * width and 0.7 * width <= attention <= width


def fast_rule(
    space: AutoTinyBertSpace,
    latency: Callable[[Architecture], float],
    limits: Sequence[float],
    allowed: Callable[[Architecture], bool] = lambda architecture: True,
) -> list[Architecture]:
    """
    For each limit and number of layers, the slowest network within the limit that follows the rule, if any.

    Raises:
        LimitError: if no network within the lowest limit follows the rule; what does counts for the others too.
    """
    found: dict[Architecture, None] = {}
    for depth in space.num_hidden_layers:
        choices = replace(space, num_hidden_layers=[depth]).enumerate()
        kept = [one for one in choices if keeps_rule(one) and allowed(one)]
        for limit in limits:
            found |= dict.fromkeys(slowest_within(kept, latency, limit))
    if not any(latency(one) <= min(limits) for one in found):
        raise LimitError(
            f"--strategy fast finds no network of its rule within --max-latency {min(limits):g}: raise it, or give "
            "--strategy evolution."
        )
    return [*found]


def slowest_within(
    choices: Sequence[Architecture], latency: Callable[[Architecture], float], limit: float
) -> list[Architecture]:
    """The slowest choice within the limit, in a list; an empty list if there is none."""
    within = [one for one in choices if latency(one) <= limit]
    return [max(within, key=latency)] if within else []
