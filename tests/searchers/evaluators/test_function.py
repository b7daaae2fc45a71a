"""A plain function as an evaluator: what it may return, what becomes of its exceptions, and who notices an edit."""

import math

import pytest

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.evaluators.function import FunctionEvaluator, source_digest


ARCHITECTURE = Architecture.of([], layers=3, width=64)


def evaluated(function, catch=(), report=lambda step, scores: True):
    return FunctionEvaluator(function, ["loss", "size"], catch).evaluate(0, ARCHITECTURE, report)


def test_scores_and_their_cost():
    def my_scores(architecture):
        return {"loss": 1, "size": architecture["width"], "more": True}

    scores, cost = evaluated(my_scores)
    assert scores == {"loss": 1.0, "size": 64.0, "more": 1.0}
    assert all(type(value) is float for value in scores.values())
    assert cost["seconds"] >= 0


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"loss": 1.0}, r"^my_scores returned no score for the goal 'size'; it returned \{'loss': 1.0\}\.$"),
        ({}, r"^my_scores returned no score for the goal 'loss'; it returned \{\}\.$"),
        (1.5, r"^my_scores returned 1.5: return a dictionary of scores, such as \{'loss': 1.0\}\.$"),
        (None, "^my_scores returned None: return a dictionary of scores"),
        ({"loss": "low", "size": 1}, "^my_scores returned .*'low'.*: every score must be a number"),
        ({"loss": [1], "size": 1}, "every score must be a number"),
    ],
)
def test_what_is_no_score_is_named_with_what_was_returned(returned, said):
    def my_scores(architecture):
        return returned

    with pytest.raises(ValueError, match=said):
        evaluated(my_scores)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_a_failed_trial(value):
    def my_scores(architecture):
        return {"loss": value, "size": 1}

    with pytest.raises(TrainingError, match=f"my_scores returned loss {value}"):
        evaluated(my_scores)


def test_an_object_that_can_be_called_goes_by_the_name_of_its_class():
    class Judge:
        def __call__(self, architecture):
            return {}

    with pytest.raises(ValueError, match="^Judge returned no score for the goal 'loss'"):
        evaluated(Judge())


def test_exceptions_propagate_unless_catch_names_them():
    def my_scores(architecture):
        raise ZeroDivisionError("no rows")

    with pytest.raises(ZeroDivisionError, match="no rows"):
        evaluated(my_scores)
    with pytest.raises(ZeroDivisionError, match="no rows"):
        evaluated(my_scores, catch=(OSError, ValueError))
    with pytest.raises(TrainingError, match="^ZeroDivisionError: no rows$"):
        evaluated(my_scores, catch=(OSError, ArithmeticError))


def test_catch_is_not_for_what_the_function_returns():
    """A missing goal is a mistake of the function in every trial."""
    with pytest.raises(ValueError, match="no score for the goal 'loss'") as caught:
        evaluated(lambda architecture: {}, catch=(Exception,))
    assert not isinstance(caught.value, TrainingError)


def test_an_argument_named_report_gets_the_report():
    seen = []

    def my_scores(architecture, report):
        for step in range(5):
            if not report(step, {"loss": 5.0 - step}):
                break
        return {"loss": 5.0 - step, "size": 1}

    def until_two(step, scores):
        seen.append((step, scores["loss"]))
        return step < 2

    assert evaluated(my_scores, report=until_two)[0]["loss"] == 3
    assert seen == [(0, 5.0), (1, 4.0), (2, 3.0)]


def test_other_arguments_keep_their_defaults():
    def my_scores(architecture, seed=7):
        return {"loss": seed, "size": 1}

    assert evaluated(my_scores)[0]["loss"] == 7


def test_an_edited_function_has_another_digest():
    def one(architecture):
        return {"loss": 1.0}

    first = source_digest(one)

    def one(architecture):
        return {"loss": 2.0}

    assert source_digest(one) != first
    assert source_digest(one) == source_digest(one)


def test_a_function_without_source_needs_a_version():
    for without in (len, eval("lambda architecture: {}")):
        with pytest.raises(ValueError, match="The source of .* cannot be read.*: give version="):
            source_digest(without)
