"""Searchers (ask and tell) by the name that the command line knows."""

from autobert_hf.searchers.strategies.evolution import Evolution
from autobert_hf.searchers.strategies.op_nas import OpNas
from autobert_hf.searchers.strategies.random_search import RandomSearch


STRATEGIES = {"op-nas": OpNas, "evolution": Evolution, "random": RandomSearch}
