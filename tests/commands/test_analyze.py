"""`autobert analyze`: a check of cheap scores that resumes, and token uniformity of any encoder."""

import json
import re
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, BertModel

from autobert_hf.cli import main
from autobert_hf.commands import analyze
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.journal import Journal, read_journal
from autobert_hf.searchers.analysis import token_uniformity
from autobert_hf.searchers.evaluators.stand_alone import StandAlone


TINY = {
    **{"num-trials": 1, "population": 1, "vocab-size": 200, "length": 16, "batch-size": 8, "held-out-rows": 16},
    **{"num-hidden-layers": 2, "hidden-size": 16, "num-attention-heads": 2, "intermediate-size": 32},
    **{"warmup-steps": 3, "candidate-steps": 1, "final-tokens": 128, "mixed-precision": "no"},
}
STUDY = ["--networks", "3", "--seeds", "0", "1", "--tokens", "384"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    out = folder / "out"
    options = [part for name, value in TINY.items() for part in (f"--{name}", str(value))]
    assert main(["search", "--cpu", "--train-file", str(folder / "text.txt"), "--output-dir", str(out), *options]) == 0
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check(run: Path, out: Path, *options: str) -> int:
    return main(["analyze", "ranking", str(run), "--output-dir", str(out), *STUDY, *options])


def key(record: dict) -> tuple[str, int, int]:
    return record["kind"], record["network"], record["seed"]


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A check that nobody disturbed; the run must stay as it was."""
    out, before = tmp_path_factory.mktemp("check") / "out", contents(run)
    assert check(run, out) == 0
    assert contents(run) == before
    return out


def test_the_report_says_what_was_asked_for(whole: Path) -> None:
    report = json.loads((whole / "ranking.json").read_text())
    assert report["networks"] == 3
    assert report["study"]["seeds"] == [0, 1]
    trained = {name: found["cost"]["trained"] for name, found in report["scores"].items()}
    assert trained["inherited"] == trained["scratch, short"] == 8 * 16
    assert trained["supernet, untouched"] == trained["parameters"] == 0
    assert report["scores"]["inherited"]["cost"]["once"] == (3 + 1) * 8 * 16
    assert set(report["ceiling"]["kendall"]) == {"value", "low", "high"}
    assert "inherited - scratch, short" in report["differences"]
    assert sum(part["networks"] for part in report["buckets"]["attention layers"]) == 3
    assert [int(tokens) for tokens in report["other seed's final loss after"]] == [128]
    shown = (whole / "ranking.txt").read_text()
    assert re.search(r"ceiling \(two seeds\) +-?\d\.\d\d \[", shown)
    assert (whole / "ranking.png").read_bytes().startswith(b"\x89PNG")


def without(whole: Path, folder: Path, *lost: tuple[str, int, int]) -> Path:
    """A copy of the check whose process was killed before these trials were written."""
    shutil.copytree(whole, folder)
    lines = [line for line in read_journal(whole / "journal.jsonl") if key(line) not in lost]
    write_journal(folder / "journal.jsonl", lines)
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"half a li')
    return folder


def write_journal(path: Path, records: list[dict[str, Any]]) -> None:
    path.unlink(missing_ok=True)
    journal = Journal(path)
    for record in records:
        journal.append(record)


def test_a_killed_check_makes_what_is_missing_and_ends_the_same(run: Path, whole: Path, tmp_path: Path) -> None:
    lost = [("inherited", 1, 0), ("stand-alone", 2, 1)]
    out = without(whole, tmp_path / "out", *lost)
    before = read_journal(out / "journal.jsonl")
    assert check(run, out) == 0
    after, expected = (read_journal(folder / "journal.jsonl") for folder in (out, whole))
    assert after[: len(before)] == before
    assert [key(record) for record in after[len(before) :]] == lost
    assert {key(r): r["scores"] for r in after} == {key(r): r["scores"] for r in expected}
    assert (out / "ranking.txt").read_text() == (whole / "ranking.txt").read_text()


def test_a_larger_check_keeps_the_trials_of_a_smaller_one(run: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    assert check(run, out, "--networks", "4", "--seeds", "0") == 0
    small, large = (read_journal(folder / "journal.jsonl") for folder in (whole, out))
    assert large[: len(small)] == small
    assert [key(record) for record in large[len(small) :]] == [
        (kind, 3, 0) for kind in ("inherited", "scratch, short", "stand-alone")
    ]
    report = json.loads((out / "ranking.json").read_text())
    assert report["networks"] == 4
    assert report["ceiling"] == {}  # one seed has none
    assert report["losses"]["sd of seeds"] is None


def test_a_network_that_cannot_be_trained_is_left_out_with_a_reason(
    run: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = without(whole, tmp_path / "out", ("stand-alone", 1, 0))

    def unlucky(self: StandAlone, *arguments: object) -> object:
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(StandAlone, "evaluate", unlucky)
    assert check(run, out) == 1
    last = read_journal(out / "journal.jsonl")[-1]
    assert (key(last), last["status"], last["reason"]) == (("stand-alone", 1, 0), "failed", "the loss is nan")
    assert "2 networks could be trained, too few to rank" in capsys.readouterr().err


def test_a_line_changed_by_hand_is_noticed(
    run: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = without(whole, tmp_path / "out")
    first, *others = read_journal(out / "journal.jsonl")
    write_journal(out / "journal.jsonl", [first | {"architecture": {"layers": [], "settings": {}}}, *others])
    assert check(run, out) == 1
    assert "holds another network 0 than this check draws" in capsys.readouterr().err


def test_other_settings_or_no_run_are_refused(
    run: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(run, whole, "--tokens", "1024") == 1
    assert "tokens: 384 then, 1024 now" in capsys.readouterr().err
    assert check(run, tmp_path / "a", "--tokens", "100") == 1
    assert "--tokens is less than one batch of 128 tokens" in capsys.readouterr().err
    assert check(tmp_path, tmp_path / "b") == 1
    assert "holds no run.json" in capsys.readouterr().err
    (tmp_path / "run.json").write_text((run / "run.json").read_text())
    assert check(tmp_path, tmp_path / "b") == 1
    assert "holds no trained supernet" in capsys.readouterr().err


def test_tokens_of_ours_a_plain_bert_and_the_zoo(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bert = tmp_path / "bert"
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=300, **sizes)).save_pretrained(bert)
    train_tokenizer(corpus(20, seed=0), 300).save_pretrained(bert)
    models = [str(run / "model"), str(bert), "nas-bert-5m"]
    assert main(["analyze", "tokens", *models, "--samples", "4", "--output-dir", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "tokens.json").read_text())
    assert set(report["models"]) == set(models)
    assert [len(report["models"][name]["cosine"]) for name in models[:2]] == [3, 3]
    values = [value for layers in report["models"].values() for value in layers["residual"]]
    assert all(0 < value < 1.5 for value in values)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith(models[0])
    assert len(shown) == 1 + sum(len(layers["cosine"]) for layers in report["models"].values())
    assert (tmp_path / "out" / "tokens.png").read_bytes().startswith(b"\x89PNG")


def test_tokens_of_pairs_in_two_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As STS-B, of which a text is two sentences; rows without one of them are left out."""
    rows = [{"sentence1": f"a dog {n}", "sentence2": f"some cat {n}", "label": 0.5} for n in range(5)]
    lines = [json.dumps(row) for row in [*rows, {"sentence1": "alone", "sentence2": None, "label": 1.0}]]
    (tmp_path / "stsb.jsonl").write_text("\n".join(lines))
    seen = []
    measured = token_uniformity.token_uniformity
    monkeypatch.setattr(token_uniformity, "token_uniformity", lambda *given: seen.append(given[2]) or measured(*given))

    def tokens(*options: str) -> int:
        given = ["nas-bert-5m", "--text", str(tmp_path / "stsb.jsonl"), "--output-dir", str(tmp_path / "out")]
        return main(["analyze", "tokens", *given, *options])

    assert tokens("--text-column", "sentence1", "sentence2") == 0
    assert seen == [[(row["sentence1"], row["sentence2"]) for row in rows]]
    assert tokens("--text-column", "sentence2", "--samples", "3") == 0
    assert seen[1] == [(row["sentence2"],) for row in rows[:3]]
    capsys.readouterr()
    assert tokens() == 1
    assert "has no column `text`, only sentence1, sentence2, label" in capsys.readouterr().err
    assert tokens("--text-column", "sentence1", "sentence2", "label") == 1
    assert "--text-column has 3 names: give one, or two for pairs." in capsys.readouterr().err
    (tmp_path / "stsb.jsonl").rename(tmp_path / "stsb.txt")
    given = ["nas-bert-5m", "--text", str(tmp_path / "stsb.txt"), "--output-dir", str(tmp_path / "out")]
    assert main(["analyze", "tokens", *given, "--text-column", "a", "b"]) == 1
    assert "is no table, so it has no columns a, b" in capsys.readouterr().err


def test_tokens_defaults_to_the_papers_number_of_samples() -> None:
    parser = ArgumentParser()
    analyze._tokens_parser(parser)
    assert parser.parse_args(["model", "--output-dir", "out"]).samples == 1280
