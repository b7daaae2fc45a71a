"""Search strategies by name."""

from autobert_hf.searchers.strategies.evolution import Evolution
from autobert_hf.searchers.strategies.fixed_list import FixedList
from autobert_hf.searchers.strategies.front_evolution import FrontEvolution
from autobert_hf.searchers.strategies.op_nas import OpNas
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import GenerationRoulette, Roulette
from autobert_hf.searchers.strategies.round_robin import RoundRobin


STRATEGIES = {
    "op-nas": OpNas,
    "evolution": Evolution,
    "front-evolution": FrontEvolution,
    "random": RandomSearch,
    "roulette": Roulette,
    "generation-roulette": GenerationRoulette,
    "fixed-list": FixedList,
    "round-robin": RoundRobin,
}
