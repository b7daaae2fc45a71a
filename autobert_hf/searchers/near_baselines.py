"""Which points of a front are trained (LiteTransformerSearch): those that are comparable with a scaled baseline."""

from collections.abc import Mapping, Sequence

from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.trial import Trial


NEAR = 0.05  # relative distance within which two scores count as equal

Scores = Mapping[str, float]


def near_baselines(
    front: Sequence[Trial], goals: Goals, baselines: Mapping[str, Scores], near: float = NEAR
) -> list[Trial]:
    """
    The points within `near` of a baseline on one goal and better than it on another one, and the best point of each
    goal but the first, which are the minima of latency and memory. In the order of `front`.
    """
    best = {_best(front, goal) for goal in goals.goals[1:] if front}
    kept = [t.id in best or any(_improves(t.scores, one, goals, near) for one in baselines.values()) for t in front]
    return [trial for trial, keep in zip(front, kept, strict=True) if keep]


def to_train(front: Sequence[Trial], goals: Goals, baselines: Mapping[str, Scores], number: int) -> list[Trial]:
    """
    At most `number` points, best by the main goal first: evenly spaced ones of those that `near_baselines` names and,
    if they are too few, of the others.
    """
    ranked = goals.best(front)
    named = near_baselines(ranked, goals, baselines)
    chosen = evenly(named, number)
    others = evenly([trial for trial in ranked if trial not in named], number - len(chosen))
    return [trial for trial in ranked if trial in chosen or trial in others]


def evenly(trials: Sequence[Trial], number: int) -> list[Trial]:
    """`number` of them, or all, with both ends; of one, the first."""
    if number >= len(trials):
        return [*trials]
    last = len(trials) - 1
    places = [round(index * last / max(number - 1, 1)) for index in range(max(number, 0))]
    return [trials[place] for place in places]


def _improves(scores: Scores, baseline: Scores, goals: Goals, near: float) -> bool:
    equal = [goal for goal in goals.goals if _is_near(scores[goal.name], baseline[goal.name], near)]
    better = [goal for goal in goals.goals if goal.of(scores) > goal.of(baseline)]
    return any(one is not other for one in equal for other in better)


def _is_near(score: float, baseline: float, near: float) -> bool:
    return abs(score - baseline) <= near * abs(baseline)


def _best(front: Sequence[Trial], goal: Goal) -> int:
    return max(front, key=lambda trial: (goal.value(trial), -trial.id)).id
