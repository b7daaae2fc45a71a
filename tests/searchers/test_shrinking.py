"""Progressive shrinking: its candidates, and the sizes and ends of its rounds."""

import pytest

from autobert_hf.searchers.shrinking import halvings, round_ends
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations
from autobert_hf.searchers.strategies.exhaustive import drawn


OPERATIONS = main_operations(16, heads=2)


@pytest.mark.parametrize("length", [4, 24], ids=["listed", "too large to list"])
def test_candidates_differ_and_are_allowed(length):
    space = ChainSpace(OPERATIONS, length, 16)

    def allowed(one):
        return space.names(one)[0] == "FFN"

    found = drawn(space, 50, 0, allowed)
    assert len(set(found)) == len(found) == 50 and all(map(allowed, found))
    assert found == drawn(space, 50, 0, allowed) != drawn(space, 50, 1, allowed)
    with pytest.raises(LimitError, match="No network of the space keeps within the limits"):
        drawn(space, 50, 0, lambda one: False)


def test_there_may_be_fewer_candidates_than_asked_for():
    space = ChainSpace(OPERATIONS, 2, 16)
    assert len(drawn(space, 50, 0)) == 16


@pytest.mark.parametrize(
    ("number", "least", "sizes"),
    [(64, 8, [32, 16, 8]), (20, 8, [10, 8]), (9, 8, [8]), (8, 8, []), (5, 8, []), (7, 1, [3, 1])],
)
def test_half_of_the_candidates_remain_but_not_too_few(number, least, sizes):
    assert halvings(number, least) == sizes


def test_rounds_share_the_steps_after_the_warm_up():
    assert round_ends(100, 0.3, 3) == [30, 53, 76, 100]
    assert round_ends(100, 0.3, 0) == [30]


@pytest.mark.parametrize(("steps", "warmup", "rounds"), [(3, 0.3, 3), (4, 0.01, 1)])
def test_every_round_and_the_warm_up_have_a_step(steps, warmup, rounds):
    with pytest.raises(ValueError, match=f"{steps} training steps of the supernet are too few for a warm-up"):
        round_ends(steps, warmup, rounds)
