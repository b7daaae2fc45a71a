"""What a space holds is told before training, and a space with nothing to offer is refused there."""

import pytest

from autobert_hf.records.goals import Limits, arithmetic_scores
from autobert_hf.searchers.space_summary import LimitError, SpaceSummary, space_summary
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


def summary(space, base, limits=None):
    return space_summary(space, lambda one: arithmetic_scores(one.to_config(base)), limits or Limits(), 0, samples=40)


def test_sizes_and_share(space, base):
    everything = summary(space, base)
    assert everything.share == 1
    smallest, middle, largest = everything.sizes["parameters"]
    assert smallest < middle < largest == arithmetic_scores(space.largest().to_config(base))["parameters"]
    half = summary(space, base, Limits({"parameters": middle}))
    assert 0.4 < half.share < 0.7
    assert half.sizes == everything.sizes


def test_there_and_back(space, base):
    found = summary(space, base)
    assert str(SpaceSummary.from_dict(found.to_dict())) == str(found)
    assert str(found).startswith("The space, from 40 random networks (smallest / median / largest): ")


def test_a_limit_that_only_the_smallest_keeps(base):
    tiny = AutoTinyBertSpace.within(base, width_step=2, inner_step=2)
    sizes = arithmetic_scores(tiny.smallest().to_config(base))
    assert summary(tiny, base, Limits({"parameters": sizes["parameters"]})).share == 1 / 40


def test_limits_that_exclude_everything(space, base):
    smallest = summary(space, base).sizes["parameters"][0]
    with pytest.raises(
        LimitError, match=rf"None of 40 networks of the space .* the smallest of them have {smallest:,.0f} parameters"
    ):
        summary(space, base, Limits({"parameters": smallest - 1}))
