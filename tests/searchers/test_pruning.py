"""Candidates that are ended early: their partial scores are kept, they win nothing, and any processes do the same."""

from pathlib import Path
from typing import Any

import pytest

from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.strategies import Evolution
from autobert_hf.searchers.strategies.median_pruner import MedianPruner

from .several import together


LOSS = Goals((GOALS["loss"],))
SPACE = AutoBertZeroSpace(num_hidden_layers=2)
ROUND = 6


class Falling(Evaluator):
    """A loss that falls by the step, from where the text of the architecture says."""

    def __init__(self, dies: int = -1) -> None:
        self.dies = dies
        self.evaluated: list[int] = []

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        if trial_id == self.dies:
            raise KeyboardInterrupt
        self.evaluated.append(trial_id)
        start = sum(map(ord, str(architecture))) % 97
        for step in range(1, 5):
            scores = {"loss": start + 10.0 / step}
            if not report(step, scores):
                break
        return scores, {"steps": step}


def strategy() -> Evolution:
    return Evolution(SPACE, LOSS, seed=0, population=ROUND, parents=2, children=3)


class Watched(MedianPruner):
    """What it is asked and told, in order."""

    def __init__(self) -> None:
        super().__init__(GOALS["loss"], startup=3)
        self.log: list[Any] = []

    def go_on(self, step: int, score: float) -> bool:
        self.log.append("asked")
        return super().go_on(step, score)

    def tell(self, trials: Any) -> None:
        self.log.append([trial.id for trial in trials])
        super().tell(trials)


def search(path: Path, team: Team, evaluator: Falling | None = None, pruner: Watched | None = None) -> list[Trial]:
    journal = Journal(path, writer=team.is_main)
    finalists = Journal(path.with_name("finalists.jsonl"), writer=team.is_main)
    loop = Loop(strategy(), evaluator or Falling(), LOSS, journal, finalists, team, 0, pruner or Watched())
    return loop.run(4 * ROUND).trials


@pytest.fixture
def trials(team: Team, tmp_path: Path) -> list[Trial]:
    return search(tmp_path / "trials.jsonl", team)


def test_partial_scores_are_in_the_journal(trials: list[Trial], tmp_path: Path) -> None:
    assert [Trial.from_record(record) for record in Journal(tmp_path / "trials.jsonl").records] == trials
    assert {trial.status for trial in trials} == {"done", "pruned"}
    for trial in trials:
        assert list(trial.partial) == [str(step) for step in range(1, trial.cost["steps"] + 1)]
        assert trial.scores == list(trial.partial.values())[-1]
        assert trial.reason == ("" if trial.ok else f"after step {trial.cost['steps']}")
        assert (trial.cost["steps"] < 4) <= (trial.status == "pruned")


def test_those_behind_the_median_of_what_was_told_are_ended(trials: list[Trial]) -> None:
    """Not those of the first round, whom there is nothing to compare with; all others at the first step behind it."""
    assert all(trial.ok for trial in trials[:ROUND])
    for trial in trials[ROUND:]:
        before = [other for other in trials[: trial.id // ROUND * ROUND] if other.ok]
        for step, scores in trial.partial.items():
            seen = sorted(other.partial[step]["loss"] for other in before)
            middle = (seen[(len(seen) - 1) // 2] + seen[len(seen) // 2]) / 2
            is_behind = scores["loss"] > middle
            assert is_behind == (trial.reason == f"after step {step}")


def test_a_pruner_learns_from_whole_rounds_only(team: Team, tmp_path: Path) -> None:
    pruner = Watched()
    search(tmp_path / "journal.jsonl", team, pruner=pruner)
    told = [entry for entry in pruner.log if entry != "asked"]
    assert told == [[*range(rounds * ROUND)] for rounds in (1, 2, 3, 4)]
    first_told = pruner.log.index(told[0])
    assert pruner.log[:first_told] == ["asked"] * 4 * ROUND


def test_two_processes_prune_the_same_candidates(trials: list[Trial], tmp_path: Path) -> None:
    both = together(2, lambda team: search(tmp_path / "two.jsonl", team))
    for found in both:
        assert [(t.architecture, t.status, t.partial) for t in found] == [
            (t.architecture, t.status, t.partial) for t in trials
        ]


@pytest.mark.parametrize("dies", [3, 8, 17])
def test_killed_and_continued_the_same_are_pruned(trials: list[Trial], team: Team, tmp_path: Path, dies: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "journal.jsonl", team, Falling(dies))
    resumed = Falling()
    assert search(tmp_path / "journal.jsonl", team, resumed) == trials
    assert resumed.evaluated == [*range(dies, 4 * ROUND)]


class Rising(Falling):
    """Whoever is ended at once has the lowest loss of all."""

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        found, cost = {"loss": 1.0 + trial_id}, {"steps": 1.0}
        return (found, cost) if report(1, found) else ({"loss": -5.0}, cost)


class EveryThird:
    """Ends it, whatever its score."""

    def __init__(self) -> None:
        self.asked = 0

    def go_on(self, step: int, score: float) -> bool:
        self.asked += 1
        return self.asked % 3 != 0

    def tell(self, trials: Any) -> None: ...


def test_a_pruned_trial_is_never_the_best_nor_a_parent(run: Run) -> None:
    study = run.study(strategy(), Rising(), LOSS, 2 * ROUND, EveryThird())
    pruned = [trial for trial in study.trials if trial.status == "pruned"]
    assert len(pruned) == 4
    assert {trial.scores["loss"] for trial in pruned} == {-5.0}
    read = Study.read(run.path)
    for one in (study, read):
        assert one.best.id == 0
        assert {trial.status for trial in one.front()} == {"done"}
    assert {trial.proposal.parent for trial in study.trials[ROUND:]} == {0, 1}


def test_without_a_pruner_reports_are_kept_and_nobody_is_ended(run: Run) -> None:
    study = run.study(strategy(), Falling(), LOSS, ROUND)
    assert all(trial.ok and [*trial.partial] == ["1", "2", "3", "4"] for trial in study.trials)


def trial(number: int, *losses: float, status: str = "done") -> Trial:
    partial = {str(step): {"loss": loss} for step, loss in enumerate(losses)}
    return Trial(number, strategy().ask(number), 0, {"loss": losses[-1]}, status=status, partial=partial)


def test_the_median_is_of_finished_trials_at_the_same_step() -> None:
    pruner = MedianPruner(GOALS["loss"], startup=3, warmup=1)
    trials = [trial(0, 9.0, 1.0), trial(1, 9.0, 2.0)]
    pruner.tell(trials)
    assert pruner.go_on(1, -100.0), "two have finished, three are needed"
    pruner.tell([*trials, trial(2, 9.0, 0.1, status="pruned"), trial(3, 9.0, 3.0), trial(4, 9.0)])
    assert pruner.go_on(1, -2.0), "on the median"
    assert not pruner.go_on(1, -2.1)
    assert pruner.go_on(0, -100.0), "too early"
    assert pruner.go_on(2, -100.0), "nobody has been there"


def test_where_more_is_better_those_below_the_median_go() -> None:
    pruner = MedianPruner(GOALS["task_score"], startup=1)
    partial = {"1": {"task_score": 0.5}}
    pruner.tell([Trial(0, strategy().ask(0), 0, {"task_score": 0.9}, partial=partial)])
    assert pruner.go_on(1, 0.5) and not pruner.go_on(1, 0.4)
