"""A study on disk: its trials, its winner, and how much of its budget is used."""

from pathlib import Path

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.json_files import write_record
from autobert_hf.records.study import Study, StudyError, journal_file
from autobert_hf.records.trial import Proposal, Trial


GOALS = Goals.named("loss", ["parameters"])
ARCHITECTURE = Architecture.of([{"layer_type": "conv", "conv_kernel_size": 3}])
TRIALS = [
    Trial(0, Proposal(ARCHITECTURE), 0, {"loss": 2.0, "parameters": 5.0}, {"seconds": 1.0}),
    Trial(1, Proposal(ARCHITECTURE, 0, "mutate"), 0, {"loss": 1.0, "parameters": 9.0}),
    Trial(2, Proposal(ARCHITECTURE), 0, {"loss": 1.0, "parameters": 9.5}),
    Trial(3, Proposal(ARCHITECTURE), 0, {"loss": 0.5, "parameters": 1.0}, status="pruned", reason="after step 1"),
    Trial(4, Proposal(ARCHITECTURE), 0, status="failed", reason="out of memory"),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_record(tmp_path / "report" / "goals.json", GOALS.to_json())
    return tmp_path


def write(run: Path, trials: list[Trial], name: str = "") -> None:
    journal = Journal(journal_file(run, name))
    for trial in trials:
        journal.append(trial.to_record())


def test_a_study_has_its_own_journal_and_goals(run: Path) -> None:
    assert journal_file(run) == run / "journal.jsonl"
    assert journal_file(run, "shrunk") == run / "journal-shrunk.jsonl"
    write(run, TRIALS)
    write(run, TRIALS[:1], "shrunk")
    with pytest.raises(StudyError, match="holds no study yet"):
        Study.read(run, "shrunk")
    smaller = Goals.named("loss")
    write_record(run / "report" / "goals-shrunk.json", smaller.to_json())
    assert (Study.read(run).trials, Study.read(run).goals) == (TRIALS, GOALS)
    assert (Study.read(run, "shrunk").trials, Study.read(run, "shrunk").goals) == (TRIALS[:1], smaller)


def test_it_is_complete_when_the_budget_is_used_up(run: Path) -> None:
    write(run, TRIALS)
    assert Study.read(run, num_trials=5).complete
    assert not Study.read(run, num_trials=6).complete


def test_the_winner_is_the_first_of_the_best_that_finished(run: Path) -> None:
    write(run, TRIALS)
    study = Study.read(run)
    assert study.best.id == 1
    assert [trial.id for trial in study.front()] == [1, 0]


def test_without_a_finished_trial_there_is_none(run: Path) -> None:
    write(run, [TRIALS[4]])
    with pytest.raises(StudyError, match="None of 1 trials has finished: let the search go on"):
        Study.read(run).best  # noqa: B018


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study yet: let its search go on first"):
        Study.read(tmp_path)


def test_a_journal_that_is_spoilt(run: Path) -> None:
    Journal(run / "journal.jsonl").append({"trial": 0})
    with pytest.raises(JournalError, match=r"line 1 is not a trial"):
        Study.read(run)


def test_rows_are_flat(run: Path) -> None:
    rows = Study("", GOALS, TRIALS).to_rows()
    assert rows[0] == {
        "trial": 0,
        "parent": None,
        "mutation": "sample",
        "status": "done",
        "reason": "",
        "score_loss": 2.0,
        "score_parameters": 5.0,
        "cost_seconds": 1.0,
        "architecture": ARCHITECTURE.to_json(),
    }
    assert (rows[1]["parent"], rows[4]["reason"]) == (0, "out of memory")
