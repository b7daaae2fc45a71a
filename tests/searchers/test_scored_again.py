"""A search whose weights get better from round to round: who is scored again, when, and who wins."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.rescoring import read_rescorings
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import Study
from autobert_hf.records.trial import read_trials
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.strategies import STRATEGIES


LOSS = Goals((GOALS["loss"],))
NAMES = "abcdef"
SPACE = GridSpace(**{name: [*range(8)] for name in NAMES})
SIZES = {"population": 10, "parents": 3, "children": 3}


def true_loss(architecture: Any) -> float:
    return sum((architecture[name] - 4.3) ** 2 for name in NAMES) / 25


class Drifting(Evaluator):
    """Each round's weights give a loss that is `drift` lower than the last round's."""

    def __init__(self, drift: float = 0.5, noise: float = 0.3, dies: int | None = None) -> None:
        self.drift, self.noise, self.dies = drift, noise, dies
        self.round, self.asked, self.ended = -1, list[tuple[int, int]](), list[Any]()

    def start_round(self, number: int) -> None:
        self.round = number

    def weights(self) -> str:
        return f"round {self.round}" if self.drift else "fixed"

    def evaluate(self, trial_id: int, architecture: Any, report: Any) -> Any:
        if len(self.asked) == self.dies:
            raise KeyboardInterrupt
        self.asked.append((self.round, trial_id))
        noise = Random(derive(7, self.round, str(architecture))).gauss(0, self.noise)
        return {"loss": 10 + true_loss(architecture) - self.drift * self.round + noise}, {"seconds": 1.0}

    def end_round(self, number: int, born_parents: Any, journal_lines: int) -> None:
        self.ended.append((number, [trial.id for trial in born_parents], journal_lines))


@pytest.fixture
def search(team: Any) -> Any:
    def search(
        folder: Path, evaluator: Drifting | None = None, trials: int = 28, name: str = "evolution", seed: int = 0
    ) -> Study:
        strategy = STRATEGIES[name](SPACE, LOSS, seed, **SIZES)
        journals = Journal(folder / "journal.jsonl"), Journal(folder / "finalists.jsonl")
        return Loop(strategy, evaluator or Drifting(), LOSS, *journals, team, seed).run(trials)

    return search


def test_parents_are_scored_again_with_each_rounds_weights(search: Any, tmp_path: Path) -> None:
    evaluator = Drifting()
    study = search(tmp_path, evaluator)
    first = [trial.id for trial in LOSS.ranked(study.recorded[:10])[:3]]
    assert evaluator.asked[:10] == [(0, number) for number in range(10)]
    assert evaluator.asked[10:13] == [(1, number) for number in first]
    assert evaluator.asked[13:22] == [(1, number) for number in range(10, 19)]
    again = read_rescorings(tmp_path / "journal.jsonl")
    assert again == study.rescorings
    assert [(one.after, one.weights) for one in again] == [(10, "round 1")] * 3 + [(19, "round 2")] * 3
    assert [trial.id for trial in read_trials(tmp_path / "journal.jsonl")] == [*range(28)], "they are no trials"
    assert {trial.weights for trial in study.finalists} == {"round 2"}
    assert study.best.scores["loss"] == min(one.scores["loss"] for one in study.finalists)
    assert {one.rescored for one in study.last} == {trial.id for trial in study.finalists}


def test_scores_of_one_version_are_left_alone(search: Any, tmp_path: Path) -> None:
    evaluator = Drifting(drift=0)
    study = search(tmp_path, evaluator)
    assert [number for _, number in evaluator.asked] == [*range(28)]
    assert study.rescorings == study.last == []
    assert study.trials == study.recorded == study.finalists


def test_random_search_has_no_parents_to_score_again(search: Any, tmp_path: Path) -> None:
    assert search(tmp_path, name="random").rescorings == []


@pytest.mark.parametrize("dies", range(0, 36, 3))
def test_killed_anywhere_the_rest_is_the_same(search: Any, tmp_path: Path, dies: int) -> None:
    whole = Drifting()
    study = search(tmp_path / "whole", whole)
    killed, resumed = Drifting(dies=dies), Drifting()
    if dies < len(whole.asked):
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "killed", killed)
    assert search(tmp_path / "killed", resumed) == study
    assert killed.asked + resumed.asked == whole.asked
    for name in ("journal.jsonl", "finalists.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("budget", [10, 14, 19])
def test_a_grown_budget_gives_the_same_trials(search: Any, tmp_path: Path, budget: int) -> None:
    """The finalists of the smaller budget leave no trace in the search."""
    study = search(tmp_path / "whole")
    first = search(tmp_path / "grown", trials=budget)
    assert first.trials == search(tmp_path / "grown", trials=budget).trials
    assert search(tmp_path / "grown") == study
    assert (tmp_path / "grown" / "journal.jsonl").read_bytes() == (tmp_path / "whole" / "journal.jsonl").read_bytes()


def test_a_changed_rescoring_is_noticed(search: Any, tmp_path: Path) -> None:
    search(tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines()
    place = next(index for index, line in enumerate(lines) if '"rescored"' in line)
    lines[place] = lines[place].replace('"after": 10', '"after": 9')
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalError, match=f"line {place + 1} does not follow"):
        search(tmp_path)


def test_a_parent_that_fails_the_second_time_is_no_winner(search: Any, tmp_path: Path) -> None:
    class Fails(Drifting):
        def evaluate(self, trial_id: int, architecture: Any, report: Any) -> Any:
            if self.round and trial_id < 10:
                raise TrainingError("the loss is nan at step 2")
            return super().evaluate(trial_id, architecture, report)

    study = search(tmp_path, Fails())
    assert {one.status for one in study.rescorings if one.rescored < 10} == {"failed"}
    assert not any(trial.id < 10 for trial in study.finalists if trial.ok)


def test_a_drift_changes_neither_the_search_nor_the_winner(search: Any, tmp_path: Path) -> None:
    """What the weights gain from round to round is the same for all networks, so the paired shift takes it out."""

    def found(drift: float, seed: int) -> tuple[list[Any], int]:
        study = search(tmp_path / f"{drift}-{seed}", Drifting(drift, noise=1.0), seed=seed)
        return [(trial.proposal, trial.status) for trial in study.trials], study.best.id

    for seed in range(8):
        assert found(0.1, seed) == found(3.0, seed)
    raw = [LOSS.best(read_trials(tmp_path / f"3.0-{seed}" / "journal.jsonl"))[0].id for seed in range(8)]
    assert all(number >= 19 for number in raw), "by raw scores all winners would be of the last round"
    assert any(found(3.0, seed)[1] < 19 for seed in range(8))
