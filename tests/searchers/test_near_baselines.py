"""Which points of a front are trained, on cases small enough to check by hand."""

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.near_baselines import evenly, near_baselines, to_train


GOALS = Goals(
    (
        Goal("decoder_parameters", "maximize", "arithmetic", "decoder parameters"),
        Goal("latency", "minimize", "measured", "latency"),
        Goal("memory", "minimize", "measured", "memory"),
    )
)
BASELINE = {"depth 4": {"decoder_parameters": 100.0, "latency": 1.0, "memory": 50.0}}


def point(number, parameters, latency, memory):
    scores = {"decoder_parameters": parameters, "latency": latency, "memory": memory}
    return Trial(number, Proposal(Architecture.of([])), 0, scores)


# What the fastest and the smallest point, which are always kept, leave to the rule.
ENDS = [point(90, 1.0, 0.01, 9.0), point(91, 1.0, 0.02, 1.0)]


def kept(*points, baselines=BASELINE):
    return [trial.id for trial in near_baselines([*points, *ENDS], GOALS, baselines) if trial.id < 90]


@pytest.mark.parametrize(
    ("scores", "is_kept"),
    [
        ((100, 0.8, 60), True),  # as large and faster
        ((95, 1.2, 49), True),  # just within 5 percent of the size, and smaller in memory
        ((94.9, 1.2, 40), False),  # just not, and far on the others
        ((106, 2.0, 70), False),  # larger, but near on no goal
        ((130, 1.04, 70), True),  # as fast and larger
        ((100, 1.1, 60), False),  # as large and worse on both others
        ((80, 0.96, 52.6), False),  # faster on the very goal that it is near on, and on no other one
        ((80, 0.96, 52), True),  # near on two goals, and faster
    ],
)
def test_near_on_one_goal_and_better_on_another(scores, is_kept):
    assert kept(point(0, *scores)) == ([0] if is_kept else [])


def test_one_baseline_is_enough():
    other = {"depth 9": {"decoder_parameters": 300.0, "latency": 3.0, "memory": 90.0}}
    assert kept(point(0, 300, 2.0, 99), baselines=BASELINE) == []
    assert kept(point(0, 300, 2.0, 99), baselines=BASELINE | other) == [0]


def test_the_minima_of_latency_and_memory_are_kept_and_the_order_of_the_front():
    front = [point(5, 500, 9.0, 900), ENDS[1], point(3, 100, 0.5, 60), ENDS[0]]
    assert [trial.id for trial in near_baselines(front, GOALS, BASELINE)] == [91, 3, 90]
    assert [trial.id for trial in near_baselines(front, GOALS, {})] == [91, 90]
    assert near_baselines([], GOALS, BASELINE) == []


def test_evenly_keeps_both_ends():
    trials = [point(number, 1, 1, 1) for number in range(10)]
    assert [trial.id for trial in evenly(trials, 4)] == [0, 3, 6, 9]
    assert [trial.id for trial in evenly(trials, 1)] == [0]
    assert evenly(trials, 0) == []
    assert evenly(trials, 10) == evenly(trials, 99) == trials


def test_what_the_rule_does_not_fill_is_filled_from_the_rest_of_the_front():
    front = [point(number, 100 * number, number, 10 * number) for number in range(1, 9)]
    assert [trial.id for trial in to_train(front, GOALS, {}, 1)] == [1]  # of latency and memory
    assert [trial.id for trial in to_train(front, GOALS, {}, 3)] == [8, 2, 1]
    assert [trial.id for trial in to_train(front, GOALS, {}, 99)] == [8, 7, 6, 5, 4, 3, 2, 1]
