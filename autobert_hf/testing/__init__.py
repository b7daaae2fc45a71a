"""
Conformance checks for the parts of a search. They raise AssertionError with the rule that is broken. The built-in
parts pass them; apply them to your own:

    def test_my_space(): check_space(MySpace(), AutoBertConfig(hidden_size=32, ...))
    def test_my_strategy(): check_strategy(lambda seed: MyStrategy(space, goals, seed))
"""

from autobert_hf.testing.evaluators import check_evaluator
from autobert_hf.testing.losses import check_loss
from autobert_hf.testing.methods import check_method
from autobert_hf.testing.policies import check_policy
from autobert_hf.testing.spaces import check_space
from autobert_hf.testing.strategies import check_strategy
from autobert_hf.testing.supernets import check_supernet


__all__ = [
    "check_evaluator",
    "check_loss",
    "check_method",
    "check_policy",
    "check_space",
    "check_strategy",
    "check_supernet",
]
