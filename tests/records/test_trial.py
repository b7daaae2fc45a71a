"""A trial is the same thing in the journal, and what is none is named with its line."""

from pathlib import Path

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.trial import RESULT, Proposal, Trial, parse_trial, read_trials


ARCHITECTURE = Architecture.of([{"layer_type": "conv", "conv_kernel_size": 3}], hidden_size=32)
TRIALS = [
    Trial(0, Proposal(ARCHITECTURE), 5, {"loss": 0.1 + 0.2}, {"seconds": 1.5, "tokens": 80}, weights="round 1"),
    Trial(1, Proposal(ARCHITECTURE, 0, "mutate"), 6, status="failed", reason="the loss is nan"),
    Trial(
        2,
        Proposal(ARCHITECTURE, 1, "crossover"),
        7,
        {"loss": 3.0},
        status="pruned",
        reason="after step 4",
        partial={"2": {"loss": 4.0}, "4": {"loss": 3.0}},
    ),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for trial in TRIALS:
        journal.append(trial.to_record())
    return path


def test_what_is_written_is_read_again(path: Path) -> None:
    assert read_trials(path) == TRIALS
    assert [trial.ok for trial in TRIALS] == [True, False, False]
    assert TRIALS[0].architecture == ARCHITECTURE
    assert read_trials(path.with_name("nothing.jsonl")) == []


@pytest.mark.parametrize("missing", ["trial", "architecture", "parent", "mutation", *RESULT])
def test_a_record_that_lacks_something_is_named_with_its_line(path: Path, missing: str) -> None:
    records = [trial.to_record() for trial in TRIALS]
    del records[1][missing]
    path.unlink()
    journal = Journal(path)
    for record in records:
        journal.append(record)
    with pytest.raises(JournalError, match=rf"journal\.jsonl, line 2 is not a trial .*{missing}.*: restore it"):
        read_trials(path)


def test_what_its_reader_finds_wrong_is_named_too() -> None:
    def no_loss(trial: Trial) -> None:
        raise KeyError("loss")

    with pytest.raises(JournalError, match=r"line 7 is not a trial \(KeyError\('loss'\)\)"):
        parse_trial(Path("journal.jsonl"), 7, TRIALS[0].to_record(), no_loss)
