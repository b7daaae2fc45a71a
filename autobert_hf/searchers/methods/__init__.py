"""Published systems by the name that the command line knows: one function each."""

from autobert_hf.searchers.methods import autobert_zero


METHODS = {"op-nas": autobert_zero.run, "evolution": autobert_zero.run, "random": autobert_zero.run}
