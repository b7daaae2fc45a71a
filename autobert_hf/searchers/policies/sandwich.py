"""The sandwich rule (Yu & Huang, 2019; AutoDistil, Xu et al., 2022, algorithm 1), and the same without its ends."""

from dataclasses import dataclass
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Stateless
from autobert_hf.searchers.spaces.space import Space


@dataclass
class Uniform(Stateless):
    """M = `number` architectures of a batch, drawn uniformly; each trains on all of its shards."""

    space: Space
    seed: int
    number: int = 2

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        draws = (Random(derive(self.seed, step, "uniform", index)) for index in range(self.number))
        return [self.space.sample(draw) for draw in draws]


class Sandwich(Uniform):
    """The smallest and the largest architecture, and M = `number` random ones."""

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        return [self.space.smallest(), self.space.largest(), *super().__call__(step, shard)]
