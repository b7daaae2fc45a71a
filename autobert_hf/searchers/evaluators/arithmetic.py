"""Sizes of candidates, counted once: a strategy asks for them before it proposes one, the loop before it is judged."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import arithmetic_scores


REMEMBERED = 20_000  # making a configuration takes several milliseconds


def arithmetic_on(base: AutoBertConfig, more: Sequence[str] = ()) -> Callable[[Architecture], dict[str, float]]:
    """`parameters` and `flops` of an architecture on `base`, and `more` goals that follow from the configuration."""

    @lru_cache(REMEMBERED)
    def counted(architecture: Architecture) -> dict[str, float]:
        return arithmetic_scores(architecture.to_config(base), more)

    return lambda architecture: dict(counted(architecture))
