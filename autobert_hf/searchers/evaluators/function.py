"""A plain function as an evaluator: architecture in, scores out."""

import hashlib
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores


class FunctionEvaluator(Evaluator):
    """
    `function(architecture)` returns a score for each of `goals`, and optionally others. If it has an argument
    `report`, `report(step, scores)` records intermediate scores and returns whether to continue. Exceptions listed in
    `catch` make failed trials, as do scores that are not finite; other exceptions propagate.
    """

    def __init__(
        self,
        function: Callable[..., Mapping[str, float]],
        goals: Sequence[str],
        catch: tuple[type[Exception], ...] = (),
    ) -> None:
        self.function = function
        self.goals = goals
        self.catch = catch
        self.takes_report = "report" in inspect.signature(function).parameters

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """
        Raises:
            ValueError: if the function does not return a number for every goal.
        """
        started = time.monotonic()
        more = {"report": report} if self.takes_report else {}
        try:
            found = self.function(architecture, **more)
        except self.catch as error:
            raise TrainingError(f"{type(error).__name__}: {error}") from error
        return self._checked(found), {"seconds": round(time.monotonic() - started, 3)}

    def failures(self) -> AbstractContextManager[None]:
        """Nothing more: exhausted memory propagates too, unless `catch` lists its exception."""
        return nullcontext()

    def _checked(self, found: object) -> Scores:
        name = name_of(self.function)
        if not isinstance(found, Mapping):
            raise ValueError(f"{name} returned {found!r}: return a dictionary of scores, such as {{'loss': 1.0}}.")
        if missing := [goal for goal in self.goals if goal not in found]:
            raise ValueError(f"{name} returned no score for the goal {missing[0]!r}; it returned {dict(found)!r}.")
        try:
            scores = {str(score): float(value) for score, value in found.items()}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} returned {dict(found)!r}: every score must be a number ({error}).") from error
        if wrong := [f"{score} {value}" for score, value in scores.items() if not math.isfinite(value)]:
            raise TrainingError(f"{name} returned {', '.join(wrong)}")
        return scores


def name_of(function: object) -> str:
    """The name of a function, or of an object's class, in the record of a run."""
    return getattr(function, "__name__", type(function).__name__)


def source_digest(code: Callable) -> str:
    """
    Identifies a function or class in the record of a run, so that an edited one does not resume with old scores: its
    source, and numbers and texts among its defaults and the variables that it closes over. Functions that it calls are
    not covered.

    Raises:
        ValueError: if its source cannot be read; the user must then give a version.
    """
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"The source of {code!r} cannot be read, so changes to it would go unnoticed: give version=, a text "
            "that you change with it."
        ) from error
    return hashlib.sha256(f"{source}{_bound(code)}".encode()).hexdigest()[:16]


def _bound(code: Callable) -> str:
    if not inspect.isfunction(code):
        return ""
    around = inspect.getclosurevars(code).nonlocals
    defaults = {str(number): value for number, value in enumerate(code.__defaults__ or ())}
    values = {**around, **defaults, **(code.__kwdefaults__ or {})}
    return repr({name: value for name, value in sorted(values.items()) if isinstance(value, int | float | str)})
