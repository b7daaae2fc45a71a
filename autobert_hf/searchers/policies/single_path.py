"""Single-path sampling (SPOS, Guo et al., 2020): each step trains one architecture, drawn uniformly."""

from dataclasses import dataclass
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Stateless
from autobert_hf.searchers.spaces.space import Space


@dataclass
class SinglePath(Stateless):
    """The same architecture for all shards of a step."""

    space: Space
    seed: int

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        return [self.space.sample(Random(derive(self.seed, step, "single-path")))]
