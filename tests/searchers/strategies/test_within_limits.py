"""Choices within limits on latency: the rule, the list, and which strategy a name stands for."""

from collections import Counter
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

from ..made_up import SPACE, latency, search, within


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
    with pytest.raises(
        LimitError, match="--strategy fast finds no network of its rule within --max-latency 1e-06: raise"
    ):
        fast_rule(SPACE, latency, [0.5, 1e-6])


@pytest.mark.parametrize(("inner", "dim", "kept"), [(80, 8, True), (79, 8, False), (96, 8, False), (90, 13, False)])
def test_the_rule_of_the_paper(inner, dim, kept):
    sizes = {"hidden_size": 50, "intermediate_size": inner, "num_attention_heads": 5, "head_dim": dim}
    assert keeps_rule(Architecture.of([{"layer_type": "full_attention"}], **sizes)) == kept


def test_a_space_that_is_too_large_to_be_listed_is_refused():
    with pytest.raises(LimitError, match="The space has 20,956 networks, more than the 20,000 that are listed"):
        listed(ALL, {1: ALL}, latency)


@pytest.fixture
def long_lists(monkeypatch):
    monkeypatch.setattr(exhaustive, "MOST", SPACE.size)


def test_a_list_holds_what_some_window_holds_the_fastest_first(long_lists):
    windows = {0.51: within(0.5, 0.51), 0.101: within(0.1, 0.101)}
    found = listed(ALL, windows, latency)
    times = [latency(one) for one in found]
    assert times == sorted(times)
    expected = [one for one in SPACE.enumerate() if 0.1 <= latency(one) <= 0.101 or 0.5 <= latency(one) <= 0.51]
    assert set(found) == set(expected) and len(found) == len(expected)
    with pytest.raises(LimitError, match="--strategy exhaustive finds no network just within --max-latency 3: raise"):
        listed(ALL, windows | {3: within(2, 3)}, latency)


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


@pytest.mark.parametrize("limits", [[0.5, 0.33, 0.25], [0.6, 0.5, 0.4, 0.3, 0.2]])
def test_with_the_default_budget_every_limit_has_a_search(windows, limits):
    """100 candidates in generations of 25: the later limits used to get 25 random ones, and the fifth none."""
    windows.latency.settings.limits_of_latency = limits
    windows.space = lambda limit: within(0.85 * limit, limit)
    strategy, number = within_limits("evolution", windows, LOSS, 0, 25, 100, lambda architecture: True)
    trials = search(strategy, number)[:number]
    for limit in limits:
        mine = [trial for trial in trials if 0.85 * limit <= latency(trial.architecture) <= limit]
        made = Counter(trial.proposal.mutation for trial in mine)
        assert len(mine) >= 100 // len(limits) - 3
        assert made["mutate"] >= 4


def test_one_limit_keeps_its_generations(windows):
    windows.latency.settings.limits_of_latency = [0.5]
    strategy, _ = within_limits("evolution", windows, LOSS, 0, 25, 4, lambda architecture: True)
    assert strategy.round_size() == 25


@pytest.mark.parametrize(("name", "enough"), [("evolution", 16), ("random", 8)])
def test_a_budget_too_small_for_the_limits_is_refused(windows, name, enough):
    def made(number):
        return within_limits(name, windows, LOSS, 0, 8, number, lambda architecture: True)

    assert made(enough)[1] == enough
    with pytest.raises(
        LimitError, match=rf"{enough - 1} is too few for 2 latency limits, .*: give --num-trials {enough}"
    ):
        made(enough - 1)


def test_a_limit_that_the_other_limits_forbid_is_refused(windows):
    """As with --max-params, or --stock: its window has networks, but none that is allowed."""
    windows.latency.settings.limits_of_latency = [0.3, 0.1]
    assert within_limits("evolution", windows, LOSS, 0, 5, 30, lambda one: len(one.layers) == 2)[1] == 30
    windows.latency.settings.limits_of_latency = [0.9, 0.1]
    with pytest.raises(
        LimitError, match="No network takes --max-latency 0.9 and keeps within the other limits: raise"
    ):
        within_limits("evolution", windows, LOSS, 0, 5, 30, lambda one: len(one.layers) == 2)


@pytest.mark.parametrize("name", ["fast", "exhaustive"])
def test_a_list_has_as_many_trials_as_it_is_long_or_as_are_asked_for(windows, long_lists, name):
    strategy, number = within_limits(name, windows, LOSS, 0, 5, 10_000, lambda architecture: True)
    assert isinstance(strategy, FixedList)
    assert number == len(strategy.architectures) > 5
    fewer = within_limits(name, windows, LOSS, 0, 5, 3, lambda architecture: True)[1]
    assert fewer == (number if name == "fast" else 3), "a rule's choices are all of them compared"
