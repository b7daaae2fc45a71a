"""Goals: which candidate wins, which ones nothing beats, what a limit says, and what of it lies on disk."""

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, PROXIES, Goal, Goals, Limits, arithmetic_scores
from autobert_hf.records.json_files import write_record
from autobert_hf.records.trial import Proposal, Trial


LOSS = Goals.named("loss")
BOTH = Goals.named("loss", ["parameters"])


def trials(*scores: tuple[float, float]) -> list[Trial]:
    proposal = Proposal(Architecture.of([{"layer_type": "conv", "conv_kernel_size": 3}]))
    return [Trial(i, proposal, 0, {"loss": loss, "parameters": size}) for i, (loss, size) in enumerate(scores)]


def ids(found: list[Trial]) -> list[int]:
    return [trial.id for trial in found]


def test_the_first_name_is_the_main_goal():
    assert LOSS.main.name == "loss"
    assert Goals.named("task_score").main.name == "task_score"
    assert [goal.name for goal in Goals.named("loss", ["flops"]).goals] == ["loss", "flops"]
    assert Goals.named("loss").main.unit == "nats per masked token"


def test_the_unit_of_the_loss_is_that_of_the_run():
    goals = Goals.named("loss", ["parameters"], unit="distillation loss")
    assert [goal.unit for goal in goals.goals] == ["distillation loss", ""]
    assert GOALS["loss"].unit == "nats per masked token"


def test_higher_is_better_whatever_the_direction():
    (trial,) = trials((2.0, 9))
    assert LOSS.main.value(trial) == LOSS.main.of({"loss": 2.0}) == -2.0
    assert GOALS["task_score"].of({"task_score": 0.7}) == 0.7


def test_what_is_known_from_the_numbers_alone():
    config = AutoBertConfig(hidden_size=32, num_attention_heads=2, intermediate_size=48)
    expected = {"parameters": count_parameters(config, "masked_lm"), "flops": count_flops(config)}
    assert arithmetic_scores(config) == expected
    counted = {name for name, goal in GOALS.items() if goal.cost == "arithmetic"}
    assert set(arithmetic_scores(config, [*GOALS])) == counted
    assert counted - set(expected) <= set(PROXIES)


def test_the_proxies_count_every_parameter_once():
    config = AutoBertConfig(
        hidden_size=32, num_attention_heads=2, intermediate_size=48, norm_position="pre", final_norm=True
    )
    found = arithmetic_scores(config, [*PROXIES])
    norms = 2 * config.num_hidden_layers * 64 + 64
    parts = found["attention_parameters"] + found["feed_forward_parameters"] + norms
    assert found["decoder_parameters"] == parts
    assert found["embedding_parameters"] + parts + 64 == count_parameters(config)  # 64: the norm of the embeddings
    assert found["total_parameters"] == found["parameters"]
    assert found["width"] == 32


def test_with_ties_kept_only_one_that_is_better_in_all_goals_removes_a_point():
    usual, lts = (Goals(LOSS.goals + (GOALS["parameters"],), keep_ties=keep) for keep in (False, True))
    drawn = trials((1.0, 9), (1.0, 8), (2.0, 8), (2.0, 9), (3.0, 9), (3.0, 10))
    assert [trial.id for trial in usual.front(drawn)] == [1]
    assert [trial.id for trial in lts.front(drawn)] == [1, 0, 2]
    assert Goals.from_json(json.loads(json.dumps(lts.to_json()))) == lts


def test_what_lies_on_disk_is_read_again(tmp_path: Path):
    goals = Goals.named("loss", ["parameters"], Limits({"parameters": 5e6}, {"latency": 0.4}), "distillation loss")
    assert Goals.from_json(json.loads(json.dumps(goals.to_json()))) == goals
    assert Goals.read(tmp_path) is None
    write_record(tmp_path / "report" / "goals.json", goals.to_json())
    assert Goals.read(tmp_path) == goals


def test_a_goal_without_a_score_is_named():
    BOTH.check({"loss": 1.0, "parameters": 5, "flops": 7})
    with pytest.raises(ValueError, match="The goal 'parameters' has no score; there are scores for 'loss', 'flops'"):
        BOTH.check({"loss": 1.0, "flops": 7})


def test_a_users_own_goal_is_as_good():
    accuracy = Goals((Goal("accuracy", "maximize", "trained", "accuracy"),))
    proposal = Proposal(Architecture(()))
    found = [Trial(i, proposal, 0, {"accuracy": value}) for i, value in enumerate((0.5, 0.9, 0.7, 0.9))]
    assert ids(accuracy.ranked(found)) == [1, 3, 2, 0]


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
    assert LOSS.fitness(found) == [-2, -1, -1]


@pytest.mark.parametrize("status", ["failed", "pruned"])
def test_trials_that_were_not_finished_win_nothing(status: str):
    early = Trial(1, Proposal(Architecture(())), 0, {"loss": 0.1, "parameters": 1}, status=status, reason="nan")
    found = [*trials((2, 9)), early]
    assert ids(BOTH.ranked(found)) == ids(BOTH.front(found)) == ids(BOTH.best(found)) == [0]


def test_limits_say_what_is_too_large_or_too_small():
    limits = Limits({"parameters": 5e6}, {"flops": 1e6})
    assert limits.broken_by({"parameters": 5e6, "flops": 1e6}) is None
    found = limits.broken_by({"parameters": 6e6, "flops": 1e6})
    assert found == "parameters are 6,000,000, the limit is 5,000,000"
    assert limits.broken_by({"parameters": 5, "flops": 10}) == "flops are 10, the least is 1,000,000"
    assert Limits().broken_by({}) is None
