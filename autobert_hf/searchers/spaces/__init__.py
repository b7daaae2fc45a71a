"""Search spaces by the name that the command line knows."""

from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace


SPACES = {"autobert-zero": AutoBertZeroSpace}
