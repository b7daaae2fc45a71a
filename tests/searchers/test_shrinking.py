"""Progressive shrinking: sizes and ends of the rounds."""

import pytest

from autobert_hf.searchers.shrinking import halvings, round_ends


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
