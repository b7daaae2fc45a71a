"""The networks of a space just within a latency limit."""

from collections.abc import Callable
from functools import cached_property
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.predicted_latency import WindowedLatency
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.restricted import RestrictedSpace


SAMPLES = 200


class LatencyWindows:
    """For each limit, the networks of `space` that are `allowed` and in the limit's latency window."""

    def __init__(
        self,
        space: AutoTinyBertSpace,
        allowed: Callable[[Architecture], bool],
        latency: WindowedLatency,
        seed: int,
    ) -> None:
        self.whole = space
        self.allowed = allowed
        self.latency = latency
        self.seed = seed

    def space(self, limit: float) -> RestrictedSpace:
        least, most = self.latency.window(limit, self.samples)
        return RestrictedSpace(
            self.whole,
            lambda architecture: self.allowed(architecture) and least <= self.latency(architecture) <= most,
        )

    @property
    def allowed_space(self) -> RestrictedSpace:
        return RestrictedSpace(self.whole, self.allowed)

    @cached_property
    def samples(self) -> list[Architecture]:
        """Random networks, with the smallest and the largest."""
        allowed, rng = self.allowed_space, Random(derive(self.seed, "window"))
        return [self.whole.smallest(), self.whole.largest(), *(allowed.sample(rng) for _ in range(SAMPLES))]
