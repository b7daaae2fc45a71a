"""Goals: which candidate wins, which ones nothing beats, and what a limit says."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals, Limits
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.settings.search_settings import Quantity


BOTH = Goals.of({"trade_off": ["parameters"]})


def trials(*scores: tuple[float, float]) -> list[Trial]:
    proposal = Proposal(Architecture.of([{"layer_type": "conv", "conv_kernel_size": 3}]))
    return [Trial(i, proposal, 0, {"loss": loss, "parameters": size}) for i, (loss, size) in enumerate(scores)]


def ids(found: list[Trial]) -> list[int]:
    return [trial.id for trial in found]


def test_proxy_tasks_decide_where_there_are_any():
    assert Goals.of({}).main.name == "loss"
    assert Goals.of({"proxy_task": ["glue/sst2"]}).main.name == "task_score"
    assert [o.name for o in Goals.of({"trade_off": ["flops"], "proxy_task": []}).objectives] == ["loss", "flops"]


def test_front_by_hand():
    found = trials((1, 9), (2, 5), (2, 6), (3, 5), (4, 1), (1, 9))
    assert ids(BOTH.front(found)) == [0, 5, 1, 4]
    assert ids(BOTH.best(found))[:2] == [0, 5]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30))
def test_front_is_what_the_definition_says(scores):
    found = trials(*scores)

    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] <= other[1]

    expected = {i for i, score in enumerate(scores) if not any(beats(other, score) for other in scores)}
    assert set(ids(BOTH.front(found))) == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_nobody_is_ranked_before_one_that_beats_it(scores):
    ranked = BOTH.ranked(trials(*scores))
    assert sorted(ids(ranked)) == list(range(len(scores)))
    for (i, one), (j, other) in product(enumerate(ranked), repeat=2):
        a, b = scores[one.id], scores[other.id]
        if a != b and a[0] <= b[0] and a[1] <= b[1]:
            assert i < j


def test_the_ends_and_the_lonely_come_first():
    ranked = BOTH.ranked(trials((0, 10), (1, 9), (2, 8.9), (5, 4), (10, 0)))
    assert ids(ranked[:3]) == [0, 4, 3]


def test_fitness_of_several_is_the_place():
    found = trials((2, 9), (1, 9), (1, 5))
    assert BOTH.fitness(found) == [-2.0, -1.0, 0.0]
    assert Goals.of({}).fitness(found) == [-2, -1, -1]


def test_failed_trials_win_nothing():
    found = [*trials((2, 9)), Trial(1, Proposal(Architecture(())), 0, status="failed", reason="nan")]
    assert ids(BOTH.ranked(found)) == ids(BOTH.front(found)) == [0]


def test_limits_say_what_is_too_large():
    limits = Limits({"parameters": 5e6})
    assert limits.broken_by({"parameters": 5e6}) is None
    assert limits.broken_by({"parameters": 6e6}) == "parameters are 6,000,000, the limit is 5,000,000"


@pytest.mark.parametrize(("text", "value"), [("5M", 5e6), ("1.2G", 1.2e9), ("250K", 250e3), ("5e6", 5e6), ("7", 7)])
def test_quantities(text, value):
    assert Quantity(text) == value


@pytest.mark.parametrize("text", ["five", "5X", "", "M"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="write 5000000, 5e6 or 5M"):
        Quantity(text)
