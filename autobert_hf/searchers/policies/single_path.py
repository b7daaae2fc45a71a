"""Single-path sampling (SPOS, Guo et al., 2020): each step trains one architecture, drawn uniformly."""

from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace


def single_path(space: AutoBertZeroSpace, seed: int, step: int) -> Architecture:
    return space.sample(Random(derive(seed, step, "single-path")))
