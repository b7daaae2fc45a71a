"""Batch-wise training (AutoTinyBERT, Yin et al., 2021, algorithm 1): M sub-networks for each shard of a batch."""

from dataclasses import dataclass
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Stateless
from autobert_hf.searchers.spaces.space import Space


@dataclass
class BatchWise(Stateless):
    """
    M = `number` sub-networks, drawn separately for every shard, as in the paper (its released code draws the same ones
    on all processes).
    """

    space: Space
    seed: int
    number: int = 3

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        draws = (Random(derive(self.seed, step, "batch-wise", shard, index)) for index in range(self.number))
        return [self.space.sample(draw) for draw in draws]
