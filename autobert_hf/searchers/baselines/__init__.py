"""Baselines by their name in cards and reports."""

from autobert_hf.searchers.baselines.deepest_cut import deepest_cut
from autobert_hf.searchers.baselines.default_rule import best_default
from autobert_hf.searchers.baselines.equal_bert import equal_bert
from autobert_hf.searchers.baselines.scaled_depth import scaled_in_depth
from autobert_hf.searchers.baselines.untrained import StaticTable, in_int8


__all__ = ["BASELINES", "StaticTable", "best_default", "deepest_cut", "equal_bert", "in_int8", "scaled_in_depth"]

BASELINES = {
    "bert": equal_bert,
    "default rule": best_default,
    "cut": deepest_cut,
    "scaled in depth": scaled_in_depth,
    "teacher in int8": in_int8,
    "static table": StaticTable,
}
