"""Search spaces by name."""

from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.chain import ChainSpace
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.spaces.lts import LtsSpace


SPACES = {
    "autobert-zero": AutoBertZeroSpace,
    "autotinybert": AutoTinyBertSpace,
    "chain": ChainSpace,
    "autodistil": AutoDistilSpace,
    "grid": GridSpace,
    "lts": LtsSpace,
}
