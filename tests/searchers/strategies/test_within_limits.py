"""Choices within limits on latency: the rule, the list, and which strategy a name stands for."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.strategies import FixedList, RandomSearch, Roulette, RoundRobin, exhaustive
from autobert_hf.searchers.strategies.exhaustive import listed
from autobert_hf.searchers.strategies.fast_rule import fast_rule, keeps_rule
from autobert_hf.searchers.strategies.within_limits import within_limits

from ..made_up import SPACE, latency, within


LOSS = Goals.named("loss")
ALL = within(0, 2)


def test_the_fast_rule_takes_the_slowest_of_each_depth_within_the_limit():
    found = fast_rule(SPACE, latency, [0.2])
    assert len({len(one.layers) for one in found}) == len(found) > 2
    for one in found:
        assert keeps_rule(one)
        assert latency(one) <= 0.2
        better = [other for other in SPACE.enumerate() if len(other.layers) == len(one.layers) and keeps_rule(other)]
        assert latency(one) == max(latency(other) for other in better if latency(other) <= 0.2)


def test_a_limit_that_the_rule_cannot_keep_is_refused():
    with pytest.raises(LimitError, match="--strategy fast finds no network within the limits"):
        fast_rule(SPACE, latency, [1e-6])


@pytest.mark.parametrize(("inner", "dim", "kept"), [(80, 8, True), (79, 8, False), (96, 8, False), (90, 13, False)])
def test_the_rule_of_the_paper(inner, dim, kept):
    sizes = {"hidden_size": 50, "intermediate_size": inner, "num_attention_heads": 5, "head_dim": dim}
    assert keeps_rule(Architecture.of([{"layer_type": "full_attention"}], **sizes)) == kept


def test_a_space_that_is_too_large_to_be_listed_is_refused():
    with pytest.raises(LimitError, match="The space has 20,956 networks, more than the 20,000 that are listed"):
        listed(ALL, [ALL], latency)


@pytest.fixture
def long_lists(monkeypatch):
    monkeypatch.setattr(exhaustive, "MOST", SPACE.size)


def test_a_list_holds_what_some_window_holds_the_fastest_first(long_lists):
    windows = [within(0.5, 0.51), within(0.1, 0.101)]
    found = listed(ALL, windows, latency)
    times = [latency(one) for one in found]
    assert times == sorted(times)
    expected = [one for one in SPACE.enumerate() if 0.1 <= latency(one) <= 0.101 or 0.5 <= latency(one) <= 0.51]
    assert set(found) == set(expected) and len(found) == len(expected)
    with pytest.raises(LimitError, match="--strategy exhaustive finds no network within the limits"):
        listed(ALL, [within(2, 3)], latency)


def test_a_fixed_list_is_asked_in_order():
    architectures = [SPACE.sample(Random(number)) for number in range(7)]
    strategy = FixedList(architectures, round=3)
    assert [strategy.ask(number).architecture for number in range(7)] == architectures
    assert (strategy.round_size(), strategy.survivors()) == (3, [])


@pytest.fixture
def windows() -> Any:
    """Of two limits."""

    class Latency:
        settings = SimpleNamespace(limits_of_latency=[0.5, 0.1])

        def __call__(self, architecture: Architecture) -> float:
            return latency(architecture)

    return SimpleNamespace(
        whole=SPACE,
        allowed=lambda architecture: True,
        allowed_space=ALL,
        latency=Latency(),
        space=lambda limit: within(0.99 * limit, limit),
    )


@pytest.mark.parametrize(("name", "kind"), [("evolution", Roulette), ("random", RandomSearch)])
def test_a_search_for_each_limit(windows, name, kind):
    strategy, number = within_limits(name, windows, LOSS, 0, 5, 30, lambda architecture: True)
    assert isinstance(strategy, RoundRobin)
    assert [type(one) for one in strategy.strategies] == [kind, kind]
    assert number == 30
    for limit, one in zip((0.5, 0.1), strategy.strategies, strict=True):
        assert 0.99 * limit <= latency(one.ask(0).architecture) <= limit


@pytest.mark.parametrize("name", ["fast", "exhaustive"])
def test_a_list_has_as_many_trials_as_it_is_long_or_as_are_asked_for(windows, long_lists, name):
    strategy, number = within_limits(name, windows, LOSS, 0, 5, 10_000, lambda architecture: True)
    assert isinstance(strategy, FixedList)
    assert number == len(strategy.architectures) > 5
    fewer = within_limits(name, windows, LOSS, 0, 5, 3, lambda architecture: True)[1]
    assert fewer == (number if name == "fast" else 3), "a rule's choices are all of them compared"
