"""A user-defined search: any space, and a function that scores its architectures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.study import Study, journal_file
from autobert_hf.records.trial import read_trials
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.evaluators.function import FunctionEvaluator, name_of, source_digest
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies import STRATEGIES, FixedList
from autobert_hf.searchers.strategies.each_once import EachOnce, Listable
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy


DIRECTIONS = {"min": "minimize", "max": "maximize", "minimize": "minimize", "maximize": "maximize"}
# For strategies given by name: size of the first round, then parents per round and children of each parent.
POPULATION, PARENTS, CHILDREN = 25, 5, 5
NAMED = [*(name for name in STRATEGIES if name not in ("fixed-list", "round-robin")), "exhaustive"]


@dataclass
class OwnSearch:
    """
    `evaluator`: a function from an architecture to a dictionary of scores, or an `Evaluator`. `goals`: the direction
    of each score, "min" or "max"; the first decides which trial is best. `strategy`: a name or an object. `catch`:
    exceptions of the function that make failed trials; all others end the search. `version`: identifies the function
    in the record of the run; the default is a digest of its source.

    Raises:
        ValueError: for an invalid value, or values that do not fit together.
    """

    space: Space
    evaluator: Callable[..., Mapping[str, float]] | Evaluator
    goals: Mapping[str, str] | Goals
    trials: int = 100
    strategy: str | Strategy = "evolution"
    seed: int = 0
    catch: type[Exception] | Sequence[type[Exception]] = ()
    version: str = ""
    pruner: Pruner | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}: give at least 1.")
        if isinstance(self.strategy, str) and self.strategy not in NAMED:
            raise ValueError(f"strategy {self.strategy!r} is unknown: use one of {', '.join(NAMED)}.")
        if self.strategy == "exhaustive" and not isinstance(self.space, Listable):
            raise ValueError(f"{name_of(self.space)} cannot be listed: give another strategy than 'exhaustive'.")
        if isinstance(self.evaluator, Evaluator) and self.catch:
            raise ValueError("catch is for a function: an Evaluator raises TrainingError for a failed trial.")
        self.aims = self.goals if isinstance(self.goals, Goals) else goals_of(self.goals)

    @property
    def number(self) -> int:
        """Number of trials, at most the number of architectures if the space can be listed."""
        return min(self.trials, self.space.size) if isinstance(self.space, Listable) else self.trials

    def recorded(self) -> dict[str, Any]:
        """The settings that identify a run: a run with different ones cannot be resumed."""
        named = isinstance(self.strategy, str)
        return {
            "space": repr(self.space) if isinstance(self.space, GridSpace) else name_of(self.space),
            "goals": {goal.name: goal.direction for goal in self.aims.goals},
            "strategy": self.strategy if named else name_of(self.strategy),
            "pruner": name_of(self.pruner) if self.pruner else "",
            "seed": self.seed,
        }

    def code(self) -> dict[str, str]:
        code = type(self.evaluator) if isinstance(self.evaluator, Evaluator) else self.evaluator
        return {name_of(self.evaluator): self.version or source_digest(code)}

    def study(self, run: Run) -> Study:
        known = len(read_trials(journal_file(run.path)))
        return run.study(self._strategy(known), self._evaluator(), self.aims, self.number, self.pruner)

    def _evaluator(self) -> Evaluator:
        if isinstance(self.evaluator, Evaluator):
            return self.evaluator
        catch = (self.catch,) if isinstance(self.catch, type) else tuple(self.catch)
        return FunctionEvaluator(self.evaluator, [goal.name for goal in self.aims.goals], catch)

    def _strategy(self, known: int) -> Strategy:
        """`known`: number of trials in the journal, which may exceed the number requested now."""
        if not isinstance(self.strategy, str):
            return self.strategy
        if isinstance(self.space, Listable) and self.strategy == "exhaustive":
            return FixedList([*islice(self.space.enumerate(), max(self.number, known))])
        kind: Any = STRATEGIES[self.strategy]
        strategy: Strategy = kind(self.space, self.aims, self.seed, POPULATION, PARENTS, CHILDREN)
        return EachOnce(strategy, self.space, self.seed) if isinstance(self.space, Listable) else strategy


def goals_of(goals: Mapping[str, str]) -> Goals:
    """
    Goals from score names with their directions, e.g. `{"loss": "min", "accuracy": "max"}`.

    Raises:
        ValueError: if `goals` is empty or no mapping, or a direction is unknown.
    """
    if not isinstance(goals, Mapping) or not goals:
        raise ValueError(f"goals is {goals!r}: name a score and its direction, such as {{'loss': 'min'}}.")
    found = []
    for name, direction in goals.items():
        if direction not in DIRECTIONS:
            raise ValueError(f"The goal {name} has direction {direction!r}: give 'min' or 'max'.")
        way: Any = DIRECTIONS[direction]
        found.append(Goal(name, way, "trained", name))
    return Goals(tuple(found))
