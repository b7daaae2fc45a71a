"""A method of a user's own: searched, trained, saved, loaded."""

import json

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from autobert_hf import load_study
from autobert_hf.cli import main
from autobert_hf.records.run_folder import RunError
from autobert_hf.searchers.methods import METHODS


TINY = {
    "cpu": "true",
    "mixed_precision": '"no"',  # without the quotes YAML takes it for False
    "num_trials": 5,
    "candidate_steps": 2,
    "vocab_size": 200,
    "length": 16,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "batch_size": 8,
    "held_out_rows": 16,
    "final_tokens": 256,
}


@pytest.fixture
def searched(run, tmp_path):
    return run("own_method.py", tmp_path / "out", *(f"{name}={value}" for name, value in TINY.items()))


def test_searched_trained_saved_and_loaded(searched, run, tmp_path, capsys):
    study = searched["study"]
    assert study.complete and len(study.trials) == 5
    assert all(searched["Toy"].Settings and trial.scores["loss"] > 0 for trial in study.trials)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out" / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    best = study.best.architecture
    assert {name: getattr(model.config, name) for name in best} == dict(best)
    assert model(**tokenizer("one two", return_tensors="pt")).logits.shape[-1] == len(tokenizer)
    (training,) = (tmp_path / "out" / "report").glob("training-*.json")
    assert json.loads(training.read_text())["curves"]["found"][-1][0] == 256

    # the same command goes on: nothing is searched or trained again
    journal = (tmp_path / "out" / "journal.jsonl").read_bytes()
    again = run("own_method.py", tmp_path / "out", *(f"{name}={value}" for name, value in TINY.items()))
    assert (tmp_path / "out" / "journal.jsonl").read_bytes() == journal
    assert again["study"].best == study.best


def test_tools_know_what_they_can_of_it(searched, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert [main(["status", out]), main(["report", out]), main(["select", out])] == [0, 0, 1]
    shown = capsys.readouterr()
    assert "Toy, seed 0" in shown.out and "Model card" in shown.out
    assert "was searched by Toy, which is none of autobert-zero, autotinybert" in shown.err
    assert main(["push", out, "--repo-id", "me/name", "--dry-run"]) == 0
    card = (tmp_path / "out" / "model" / "README.md").read_text()
    assert "autobert search" not in card  # no command would do it again
    with pytest.raises(RunError, match="method=Toy"):
        load_study(out).model(searched["study"].best)
    mine = load_study(out, method=searched["Toy"])
    assert mine.picks() == {"model": searched["study"].best}
    assert mine.model(mine.best).config.num_hidden_layers == mine.best.architecture["num_hidden_layers"]


def test_a_registered_class_is_known_by_name(searched, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(METHODS, "Toy", searched["Toy"])
    assert main(["select", str(tmp_path / "out"), "--all-front", "--train"]) == 0
    best = searched["study"].best
    selected = AutoModelForMaskedLM.from_pretrained(tmp_path / "out" / "selected" / f"trial-{best.id:06d}")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out" / "model")
    assert all(torch.equal(*pair) for pair in zip(selected.parameters(), model.parameters(), strict=True))
