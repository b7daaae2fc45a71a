"""Conformance checks for evaluators."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Scores
from autobert_hf.searchers.spaces.space import Space


Make = Callable[[Path], Evaluator]


def check_evaluator(make: Make, space: Space, goals: Goals) -> None:
    """
    Every goal has a score; `evaluate` does not return scores that `known` returns; the same weights give the same
    scores, unless this machine is measured (`exclusive`); a report answered with False ends the evaluation; a process
    may be killed at the end of a round and a new one may end the round again. `make(folder)` returns the evaluator of
    a new process, with its files in the folder, which is empty for the first one.

    Raises:
        AssertionError: if a rule is broken.
    """
    architectures = [space.sample(Random(seed)) for seed in range(3)]
    with TemporaryDirectory() as folder:
        evaluator = make(Path(folder))
        if type(evaluator).release_except is not Evaluator.release_except:
            assert evaluator.keeps_files, "release_except is never called: keeps_files is False"
        known = [evaluator.known(one) for one in architectures]
        evaluator.start_round(0)
        scores = [_evaluated(evaluator, one, goals) for one in architectures]
        assert [evaluator.known(one) for one in architectures] == known, "known() changes with what is evaluated"
        if not evaluator.exclusive:
            assert _evaluated(evaluator, architectures[0], goals) == scores[0], "another score when repeated"
            assert _evaluated(evaluator, architectures[2], goals) == scores[2], "scores depend on what came before"
        _check_ending(evaluator, architectures[0], goals)
    _check_rounds(make, architectures, goals)


def _evaluated(evaluator: Evaluator, one: Architecture, goals: Goals) -> Scores:
    known, weights = evaluator.known(one), evaluator.weights()
    found, cost = evaluator.evaluate(0, one, lambda step, scores: True)
    assert type(weights) is str, f"weights() is no text: {weights!r}"
    assert evaluator.weights() == weights, "the version of the weights changes during an evaluation"
    assert not known.keys() & found.keys(), (
        f"known() and evaluate() both give {', '.join(known.keys() & found.keys())}"
    )
    missing = [goal.name for goal in goals.goals if goal.name not in known | found]
    assert not missing, f"no score for the goal {missing[0]!r}; there are {', '.join(known | found)}"
    for name, value in (known | found | cost).items():
        assert math.isfinite(value), f"{name} is {value}"
    return found


def _check_ending(evaluator: Evaluator, one: Architecture, goals: Goals) -> None:
    """An evaluator that never reports passes."""
    reported: list[Scores] = []

    def end(step: int, scores: Scores) -> bool:
        reported.append(dict(scores))
        return False

    found, _ = evaluator.evaluate(0, one, end)
    assert len(reported) <= 1, f"a report was answered with False, and {len(reported) - 1} more followed"
    for scores in reported:
        main = goals.main.name
        assert main in scores, f"a report without the goal {main!r}: {scores}"
        assert found[main] == scores[main], f"ended at {main} {scores[main]}, the evaluation returns {found[main]}"


def _check_rounds(make: Make, architectures: Sequence[Architecture], goals: Goals) -> None:
    with TemporaryDirectory() as folder:
        exclusive, weights, scores = _second_round(make, Path(folder), architectures, goals)
    with TemporaryDirectory() as folder:
        _, again, crashed = _second_round(make, Path(folder), architectures, goals, crash=True)
    assert again == weights, f"a round that is ended twice leaves the weights {again!r}, not {weights!r}"
    assert exclusive or crashed == scores, "a round that is ended or begun twice, by new processes, counts twice"


def _second_round(
    make: Make, folder: Path, architectures: Sequence[Architecture], goals: Goals, crash: bool = False
) -> tuple[bool, str, list[Scores]]:
    """`exclusive`, the version of the weights, and the scores after a round whose best trial became a parent."""
    evaluator = make(folder)
    evaluator.start_round(0)
    trials = [
        Trial(number, Proposal(one), 0, evaluator.known(one) | evaluator.evaluate(number, one, lambda *_: True)[0])
        for number, one in enumerate(architectures)
    ]
    parents = goals.best(trials)[:1]
    evaluator.end_round(0, parents, "digest")
    if crash:
        evaluator = make(folder)
        evaluator.end_round(0, parents, "digest")
        evaluator.release_except(parents, len(trials))
        evaluator.start_round(1)
        evaluator = make(folder)
    evaluator.start_round(1)
    return evaluator.exclusive, evaluator.weights(), [_evaluated(evaluator, one, goals) for one in architectures]
