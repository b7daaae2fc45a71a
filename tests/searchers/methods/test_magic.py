"""MAGIC's ways of training a supernet of chains."""

from pathlib import Path
from string import ascii_lowercase

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import search
from autobert_hf.cli import main
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.modeling.arithmetic import count_parameters


SMALL = {
    "num_hidden_layers": 4, "hidden_size": 16, "num_attention_heads": 2, "vocab_size": 200, "length": 16,
    "batch_size": 8, "held_out_rows": 16, "num_trials": 4, "population": 2, "parents": 1, "children": 1,
    "supernet_steps": 12, "anchor_every": 3, "final_tokens": 400, "cpu": True, "mixed_precision": "no",
}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(corpus(60, seed=0)))
    return str(path)


def losses(text: str, folder: Path, **more: object) -> list[float]:
    study = search("magic", train_file=text, output_dir=str(folder), **SMALL | more)
    return [trial.scores["loss"] for trial in study.trials]


def test_every_policy_trains_other_weights(text, tmp_path):
    policies = ("magic-at", "magic-a", "magic-t", "average-alignment", "single-path")
    found = {name: losses(text, tmp_path / name, policy=name) for name in policies}
    assert len({tuple(values[:2]) for values in found.values()}) == len(policies)


@pytest.mark.parametrize("loss", ["mlm+nsp", "rtd", "blocks"])
def test_anchors_of_other_losses(text, tmp_path, loss):
    """Pairs and replaced tokens have answers, right or wrong; blocks have none, and are judged by their error."""
    given = {"loss": loss, "supernet_steps": 6}
    if loss == "blocks":
        given |= {"teacher": teacher(tmp_path / "teacher")}
    found = losses(text, tmp_path / loss, policy="magic-at", **given)
    assert found != losses(text, tmp_path / "alone", policy="magic-t", **given)


def teacher(folder: Path) -> str:
    words = {
        word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ascii_lowercase])
    }
    pieces = {f"##{letter}": len(words) + at for at, letter in enumerate(ascii_lowercase)}
    tokenizer = BertTokenizer(vocab=words | pieces)
    sizes = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertModel(BertConfig(**sizes, vocab_size=len(tokenizer), max_position_embeddings=64))
    for parameter in model.parameters():  # at the usual initialisation layers are nearly linear
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_without_weight_only_the_walk_is_left(text, tmp_path):
    assert losses(text, tmp_path / "at", policy="magic-at", alignment=0) == losses(
        text, tmp_path / "t", policy="magic-t"
    )


@pytest.mark.slow
def test_the_study_of_anchors(text, tmp_path):
    found = losses(text, tmp_path / "share", policy="magic-a", anchor_share=0.3)
    assert found != losses(text, tmp_path / "best", policy="magic-a")


def test_a_limit_filters_candidates(text, tmp_path):
    free = search("magic", train_file=text, output_dir=str(tmp_path / "free"), **SMALL)
    sizes = sorted(trial.scores["parameters"] for trial in free.trials)
    given = {"max_params": sizes[0] + 1}
    bound = search("magic", train_file=text, output_dir=str(tmp_path / "bound"), **SMALL | given)
    assert all(trial.scores["parameters"] <= sizes[0] + 1 for trial in bound.trials if trial.ok)
    model = bound.model(bound.best, train=False)
    assert count_parameters(model.config, "masked_lm") <= sizes[0] + 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--changes", "5"], "5 of 4 layers should change at a step: give 1 to 4"),
        (["--block", "5"], "A chain of 4 layers has no block of 5: give --block 1 to 4"),
        (["--anchor-share", "1.5"], "anchor_share is 1.5: give a share below 1"),
        (["--operations", "analysis"], "hidden_size 16 cannot be shared out to 6 heads"),
        (["--loss", "relations"], "--loss relations learns from a teacher: give --teacher, or --loss mlm"),
        (["--loss", "relations", "--teacher", "T"], "--loss relations does not train chains: a choice supernet needs"),
        (["--loss", "mlm", "--final-loss", "blocks", "--teacher", "T"], "--final-loss blocks leaves word embeddings"),
    ],
)
def test_what_cannot_be_searched(text, tmp_path, capsys, given, sentence):
    options = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["search", "--method", "magic", "--train-file", text, "--output-dir", str(tmp_path / "run"), *options]
    assert main([*command, *given]) == 1
    assert sentence in capsys.readouterr().err
