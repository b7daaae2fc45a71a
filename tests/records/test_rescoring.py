"""Scores of different weights, brought to one scale by what was scored with both."""

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.json_files import write_record
from autobert_hf.records.rescoring import Rescoring, comparable, read_rescorings, rescaled
from autobert_hf.records.study import Study, finalists_file, journal_file
from autobert_hf.records.trial import Proposal, Trial, read_trials


LOSS = Goals((GOALS["loss"],))


def trial(number, loss, weights="round 0"):
    scores = {"loss": loss, "parameters": 10 * number}
    return Trial(number, Proposal(Architecture.of((), width=number)), 0, scores, {"tokens": 7}, weights=weights)


def again(number, loss, after=4, weights="round 1"):
    return Rescoring(number, after, weights, {"loss": loss, "parameters": 10 * number}, {"tokens": 9})


FIRST = [trial(0, 5.0), trial(1, 4.0), trial(2, 4.5), Trial(3, Proposal(Architecture.of(())), 0, status="failed")]


def test_others_move_by_the_mean_difference_of_those_scored_again():
    found = rescaled(FIRST, [again(1, 3.0), again(2, 3.7)])
    assert [one.scores["loss"] for one in found[:3]] == pytest.approx([5.0 - 0.9, 3.0, 3.7])
    assert [one.scores.get("parameters") for one in found] == [0, 10, 20, None]
    assert [one.weights for one in found] == ["round 0", "round 1", "round 1", ""]
    assert found[1].cost == {"tokens": 9}
    assert [one.scores for one in FIRST][1] == {"loss": 4.0, "parameters": 10}, "what was recorded stays"


def test_one_that_fails_is_out_and_moves_nobody():
    failed = Rescoring(1, 4, "round 1", status="failed", reason="the loss is nan")
    found = rescaled(FIRST, [failed, again(2, 4.0)])
    assert not found[1].ok and "nan" in found[1].reason
    assert found[0].scores["loss"] == 4.5
    assert rescaled(FIRST, [failed])[0].scores["loss"] == 5.0


def test_trials_on_the_new_scale_stay_where_they_are():
    """Finalists are scored again with weights that this round's children were scored with: nothing is shifted."""
    children = [trial(4, 3.5, "round 1")]
    found = rescaled([*rescaled(FIRST, [again(1, 3.0)]), *children], [again(0, 9.0, after=5), again(4, 3.5, after=5)])
    assert [one.scores.get("loss") for one in found] == [9.0, 3.0, 3.5, None, 3.5]
    assert found[4].cost == {"tokens": 7}, "a finalist that was not scored again keeps its cost"


def test_shifts_of_several_rounds_add_up():
    trials = [*FIRST, trial(4, 2.0, "round 1"), trial(5, 1.8, "round 2")]
    rescorings = [again(1, 3.0), again(4, 1.5, after=5, weights="round 2"), again(1, 2.5, after=5, weights="round 2")]
    assert [one.scores.get("loss") for one in comparable(trials, rescorings)] == [3.5, 2.5, 3.0, None, 1.5, 1.8]


def test_a_study_reads_them_and_its_winner_is_a_finalist(tmp_path):
    journal, finalists = Journal(journal_file(tmp_path)), Journal(finalists_file(tmp_path))
    for one in [*FIRST, again(1, 3.0), again(2, 3.7), trial(4, 3.4, "round 1")]:
        journal.append(one.to_record())
    for one in [again(1, 9.9), again(1, 3.0, after=5), again(4, 3.4, after=5)]:  # the first of a smaller budget
        finalists.append(one.to_record())
    write_record(tmp_path / "report" / "goals.json", LOSS.to_json())
    study = Study.read(tmp_path)
    assert read_trials(journal_file(tmp_path)) == study.recorded
    assert [one.id for one in study.recorded] == [0, 1, 2, 3, 4]
    assert study.recorded[1].scores["loss"] == 4.0
    assert study.trials[1].scores["loss"] == 3.0
    assert [one.id for one in study.finalists] == [1, 4]
    assert study.best.id == 1
    assert [one.id for one in study.front()] == [1]
    assert study.to_rows()[1]["first_loss"] == 4.0
    assert "first_loss" not in study.to_rows()[4]


def test_a_record_that_is_none(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append({"rescored": 1, "colour": "red"})
    with pytest.raises(JournalError, match="line 1 is not a rescoring"):
        read_rescorings(path)
