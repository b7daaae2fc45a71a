"""What a space holds is told before training, and a space with nothing to offer is refused there."""

import pytest

from autobert_hf.records.goals import Limits, arithmetic_scores
from autobert_hf.searchers.space_summary import LimitError, profile
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


def test_sizes_and_share(space, base):
    everything = profile(space, base, Limits({}), seed=0, samples=40)
    assert everything.share == 1
    smallest, middle, largest = everything.sizes["parameters"]
    assert smallest < middle < largest == arithmetic_scores(space.largest().to_config(base))["parameters"]
    half = profile(space, base, Limits({"parameters": middle}), seed=0, samples=40)
    assert 0.4 < half.share < 0.7
    assert half.sizes == everything.sizes


def test_a_limit_that_only_the_smallest_keeps(base):
    tiny = AutoTinyBertSpace.within(base, width_step=2, inner_step=2)
    sizes = arithmetic_scores(tiny.smallest().to_config(base))
    assert profile(tiny, base, Limits({"parameters": sizes["parameters"]}), seed=0, samples=40).share == 1 / 40


def test_limits_that_exclude_everything(space, base):
    smallest = profile(space, base, Limits({}), seed=0, samples=40).sizes["parameters"][0]
    with pytest.raises(
        LimitError, match=rf"None of 40 networks of the space .* the smallest of them have {smallest:,.0f} parameters"
    ):
        profile(space, base, Limits({"parameters": smallest - 1}), seed=0, samples=40)
