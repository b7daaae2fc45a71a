"""Policies by name."""

from autobert_hf.searchers.policies.anchored import Anchored, TopShare
from autobert_hf.searchers.policies.batch_wise import BatchWise
from autobert_hf.searchers.policies.magic_t import MagicT
from autobert_hf.searchers.policies.sandwich import Sandwich, Uniform
from autobert_hf.searchers.policies.single_path import SinglePath
from autobert_hf.searchers.policies.survivors import Survivors


POLICIES = {
    "single-path": SinglePath,
    "batch-wise": BatchWise,
    "sandwich": Sandwich,
    "uniform": Uniform,
    "magic-t": MagicT,
    "anchored": Anchored,
    "top-share": TopShare,
    "survivors": Survivors,
}
