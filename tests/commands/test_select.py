"""A finished search gives other points within other limits, without searching again."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from autobert_hf import load_study
from autobert_hf.cli import main
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.records.goals import Limits
from autobert_hf.records.journal import read_journal


TINY = shlex.split(
    "--cpu --mixed-precision no --num-trials 6 --population 4 --parents 1 --children 2 --vocab-size 200 --length 16 "
    "--num-hidden-layers 2 --hidden-size 16 --num-attention-heads 2 --intermediate-size 32 --warmup-steps 3 "
    "--candidate-steps 2 --batch-size 8 --held-out-rows 16 --final-tokens 256 --trade-off parameters"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("select") / "run"
    assert main(["search", "--output-dir", str(folder), *TINY]) == 0
    return folder


def journal(run: Path) -> list[dict]:
    return read_journal(run / "journal.jsonl")


def test_the_front_comes_out_with_the_weights_it_was_judged_by(run, capsys):
    assert main(["select", str(run), "--all-front"]) == 0
    front = json.loads((run / "report" / "front.json").read_text())["trials"]
    assert {path.name for path in (run / "selected").iterdir()} == {f"trial-{i:06d}" for i in front}
    assert capsys.readouterr().out.count("trial ") == len(front)
    for number in front:
        folder = run / "selected" / f"trial-{number:06d}"
        model = AutoModelForMaskedLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert count_parameters(model.config, "masked_lm") == journal(run)[number]["scores"]["parameters"]
        assert torch.isfinite(model(**tokenizer("one two", return_tensors="pt")).logits).all()
        assert (folder / "README.md").exists()


def test_the_best_within_a_limit(run, capsys):
    sizes = sorted(record["scores"]["parameters"] for record in journal(run))
    assert main(["select", str(run), "--max-params", str(sizes[0])]) == 0
    within = [record for record in journal(run) if record["scores"]["parameters"] <= sizes[0]]
    best = min(within, key=lambda record: record["scores"]["loss"])
    assert f"trial {best['trial']}," in capsys.readouterr().out


def test_training_again_where_the_weights_are_gone(run, capsys):
    front = json.loads((run / "report" / "front.json").read_text())["trials"]
    child = run / "supernet" / f"child-{front[0]:06d}.safetensors"
    kept = child.rename(child.with_suffix(".kept"))
    size = journal(run)[front[0]]["scores"]["parameters"]
    try:
        assert main(["select", str(run), "--max-params", str(size)]) == 1
        assert "were not kept" in capsys.readouterr().err
        assert main(["select", str(run), "--max-params", str(size), "--train"]) == 0
    finally:
        kept.rename(child)
    training = json.loads((run / "report" / f"training-{front[0]:06d}.json").read_text())
    assert training["curves"]["found"][-1][0] == 256


def test_the_same_from_the_library(run):
    """What the command chooses within a limit, and its weights."""
    study = load_study(run)
    limit = sorted(trial.scores["parameters"] for trial in study.trials)[2]
    assert main(["select", str(run), "--max-params", str(limit)]) == 0
    best = study.picks(Limits({"parameters": limit}))["model"]
    saved = AutoModelForMaskedLM.from_pretrained(run / "selected" / f"trial-{best.id:06d}")
    mine = study.model(best, train=False).state_dict()
    assert all(torch.equal(tensor, mine[name]) for name, tensor in saved.state_dict().items())
    assert {trial.id for trial in study.front()} == set(
        json.loads((run / "report" / "front.json").read_text())["trials"]
    )


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (["--max-params", "10"], "No candidate keeps within the limits; the smallest have [0-9,]+ parameters"),
        (["--max-latency", "0.5"], "knows no latency of its candidates"),
    ],
)
def test_what_there_is_not(run, capsys, limit, sentence):
    assert main(["select", str(run), *limit]) == 1
    assert re.search(sentence, capsys.readouterr().err)
