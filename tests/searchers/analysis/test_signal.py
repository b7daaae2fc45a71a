"""A search whose scores order nothing says so, in its run, its card and its report."""

import html

import pytest

from autobert_hf import load_study, search
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.analysis.signal import signal


def study(*losses, floor=5.0):
    proposal = Proposal(Architecture.of([]))
    trials = [Trial(number, proposal, 0, {"loss": loss}) for number, loss in enumerate(losses)]
    return Study("", Goals.named("loss", floor=floor), trials)


@pytest.mark.parametrize(
    ("losses", "noise", "floor", "words"),
    [
        (
            (5.2, 5.1),
            0.001,
            5.0,
            ["lowest held-out loss of 2 candidates is 5.100", "5.000 takes no context", "--warmup-steps"],
        ),
        ((4.9, 4.8), 0.06, 5.0, ["differ by at most 0.1", "by 0.06 (standard error)", "--held-out-rows"]),
        ((4.9, 4.8), 0.04, 5.0, []),
        ((5.2, 5.1), 0.001, None, []),
        ((4.9, 4.8), None, 5.0, []),
        ((4.9,), 0.06, 5.0, []),
    ],
)
def test_what_is_said_when(losses, noise, floor, words):
    found = signal(study(*losses, floor=floor), noise, "--warmup-steps")
    assert found["noise"] == noise and found["trials"] == len(losses)
    for word in words:
        assert word in found["warning"]
    assert bool(found["warning"]) == bool(words)


SMALL = {
    "cpu": True, "mixed_precision": "no", "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2,
    "intermediate_size": 24, "vocab_size": 300, "length": 24, "batch_size": 4, "population": 3, "parents": 1,
    "children": 2, "warmup_steps": 2, "candidate_steps": 1, "held_out_rows": 40, "final_tokens": 400, "num_trials": 5,
}  # fmt: skip


def test_a_run_that_has_learned_nothing_says_so_everywhere(tmp_path):
    (tmp_path / "text.txt").write_text("\n\n".join(corpus(120, seed=0)))
    with pytest.warns(UserWarning, match="and .* takes no context .* means nothing. Train longer .--warmup-steps"):
        study = search("autobert-zero", train_file=tmp_path / "text.txt", output_dir=tmp_path / "run", **SMALL)
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "No candidate has learned to use context" in card
    assert "(--vocab-size)." in html.unescape(card), "the card cuts the warning off before its end"
    assert "the best of all" not in card
    assert "No candidate has learned to use context" in study.report().read_text()
    assert load_study(tmp_path / "run").goals.main.floor == pytest.approx(study.goals.main.floor)
    assert 0 < read_report(tmp_path / "run" / "report" / "signal.json")["noise"] < 1
