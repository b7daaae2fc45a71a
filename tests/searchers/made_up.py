"""A space of AutoTinyBERT's with a latency and a loss that are made up, so that a search in it takes no training."""

from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.restricted import RestrictedSpace


SPACE = AutoTinyBertSpace(range(1, 5), range(16, 65, 4), range(16, 257, 8), range(4, 5), range(4, 17))


def latency(architecture: Architecture) -> float:
    """1 for the largest."""
    sizes, depth = dict(architecture.settings), len(architecture.layers)
    attention = sizes["num_attention_heads"] * sizes["head_dim"]
    return (
        depth * sizes["hidden_size"] * (4 * attention + 2 * sizes["intermediate_size"]) / 4 / 64 / (4 * 64 + 2 * 256)
    )


def loss(architecture: Architecture) -> float:
    sizes = dict(architecture.settings)
    return 1 / len(architecture.layers) + 1 / sizes["hidden_size"] + 1 / sizes["intermediate_size"]


def within(low: float, high: float) -> RestrictedSpace:
    return RestrictedSpace(SPACE, lambda architecture: low <= latency(architecture) <= high)


def search(strategy: Any, number: int) -> list[Trial]:
    """The trials of whole rounds, at least so many."""
    trials: list[Trial] = []
    while len(trials) < number:
        asked = [strategy.ask(len(trials) + at) for at in range(strategy.round_size())]
        trials += [Trial(len(trials) + at, one, 0, {"loss": loss(one.architecture)}) for at, one in enumerate(asked)]
        strategy.tell(trials)
    return trials
