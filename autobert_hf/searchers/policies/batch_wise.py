"""Batch-wise training (AutoTinyBERT, Yin et al., 2021, algorithm 1): M sub-networks for each part of a batch."""

from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.space import Space


def batch_wise(space: Space, seed: int, step: int, part: int, number: int = 3) -> list[Architecture]:
    """
    The M = `number` sub-networks that see part `part` of the batch of step `step`; other ones for every part, as in
    the paper (its released code draws the same ones on all processes).
    """
    return [space.sample(Random(derive(seed, step, "batch-wise", part, index))) for index in range(number)]
