"""`autobert status` tells where a run is, and touches nothing."""

import pytest
import torch

from autobert_hf.cli import main
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_record
from autobert_hf.records.tensor_files import write_tensors
from autobert_hf.records.trainings import checkpoint_file, record_training


def trial(number: int, loss: float | None) -> dict:
    record = {"trial": number, "parent": None, "mutation": "sample", "seed": 1}
    record["reason"] = "" if loss else "the loss is nan"
    record |= {"architecture": {"layers": [{"layer_type": "conv", "conv_kernel_size": 3}], "settings": {}}}
    record |= {"scores": {"loss": loss} if loss else {}, "cost": {"seconds": 30.0} if loss else {}}
    record |= {"weights": "round 2", "partial": {}}
    return record | {"status": "done" if loss else "failed"}


def write_journal(run, *trials):
    journal = Journal(run / "journal.jsonl")
    for record in trials:
        journal.append(record)


def begun(run, **settings):
    """A run whose search has begun."""
    settings = {"method": "autobert-zero", "seed": 3, "warmup_steps": 9} | settings
    write_record(run / "run.json", {"settings": settings, "inputs": {}})
    write_record(run / "local.json", {"num_trials": 10})
    write_record(run / "report" / "goals.json", Goals.named("loss", unit="nats").to_json())


def test_a_run_in_the_middle_of_its_search(tmp_path, capsys):
    begun(tmp_path)
    record_training(tmp_path, "supernet/round-0000", 9, 900, is_done=True)  # its file has given way to later rounds
    write_journal(tmp_path, trial(0, 5.5), trial(1, None), trial(2, 5.25))
    text = (tmp_path / "journal.jsonl").read_text() + '{"half'
    (tmp_path / "journal.jsonl").write_text(text)
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "3 of 10 candidates, 1 failed" in shown
    assert "best so far: trial 2, held-out loss 5.2500" in shown
    assert "left: 7 candidates, about 4 min" in shown
    assert "supernet/round-0000: trained, 9 steps\n" in shown
    assert "last judged with: round 2\n" in shown
    assert (tmp_path / "journal.jsonl").read_text() == text


def test_before_the_first_success_and_in_the_final_training(tmp_path, capsys):
    begun(tmp_path)
    for name, step in (("training-default rule", 4), ("found", 9)):
        write_tensors(tmp_path / "final" / f"{name}-000003.safetensors", {"w": torch.ones(1)}, step=step, steps=9)
        record_training(tmp_path, f"final/{name.removeprefix('training-')}-000003", 9, 900, is_done=step == 9)
    write_journal(tmp_path, trial(0, None))
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "left: 9 candidates\n" in shown
    assert [line for line in shown.splitlines() if line.startswith("final/")] == [
        "final/default rule-000003: at step 4 of 9 (last checkpoint)"
    ]


@pytest.mark.parametrize("name", ["supernet/weights", "box-3/first"])
def test_a_run_in_the_training_of_its_supernet(tmp_path, capsys, name):
    """Before there is a journal or a goal, whatever the method calls its trainings."""
    begun(tmp_path)
    (tmp_path / "report" / "goals.json").unlink()
    record_training(tmp_path, name, 9, 900, is_done=False)
    write_tensors(checkpoint_file(tmp_path, name), {"w": torch.ones(1)}, step=4, steps=9)
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"{name}: at step 4 of 9 (last checkpoint)\n" in shown and "search: 0 of 10 candidates, 0 failed" in shown


def test_a_search_that_ended_before_its_budget(tmp_path, capsys):
    """Exhaustive search and rules go through what there is."""
    begun(tmp_path)
    write_journal(tmp_path, trial(0, 5.5))
    write_record(tmp_path / "report" / "picks.json", {"num_trials": 10, "picks": {"model": 0}})
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "search: 1 of 1 candidates, 0 failed" in shown and "left: 0 candidates\n" in shown


@pytest.mark.parametrize(("num_trials", "wanted"), [(10, 3), (9, 10)])
def test_a_method_may_ask_for_fewer_candidates(tmp_path, capsys, num_trials, wanted):
    """Shrinking judges what remains; what was asked for with another budget says nothing of this one."""
    begun(tmp_path)
    write_journal(tmp_path, trial(0, 5.5))
    write_record(tmp_path / "report" / "budget.json", {"num_trials": num_trials, "trials": 3})
    assert main(["status", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"search: 1 of {wanted} candidates" in shown and f"left: {wanted - 1} candidates" in shown


def test_rounds_are_told_in_order(tmp_path, capsys):
    begun(tmp_path)
    for number, judged in ((2, 3), (10, 1)):
        write_record(tmp_path / "report" / f"goals-round-{number}.json", Goals.named("loss", unit="nats").to_json())
        write_record(tmp_path / "report" / f"budget-round-{number}.json", {"num_trials": 10, "trials": 3})
        journal = Journal(tmp_path / f"journal-round-{number}.jsonl")
        for at in range(judged):
            journal.append(trial(at, 5.5))
    assert main(["status", str(tmp_path)]) == 0
    assert "round-2: 3 of 3 candidates\nround-10: 1 of 3 candidates\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "select"])
def test_a_journal_changed_by_hand_is_named(tmp_path, capsys, command):
    begun(tmp_path)
    write_journal(tmp_path, trial(0, 5.5), {"trial": 1})
    assert main([command, str(tmp_path)]) == 1
    assert "journal.jsonl, line 2 is not a trial" in capsys.readouterr().err


def test_what_is_no_run_says_so(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 1
    assert "holds no run.json" in capsys.readouterr().err
