"""MAGIC's ways of training a supernet of chains."""

from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import load_study, search
from autobert_hf.api import reopen
from autobert_hf.cli import main
from autobert_hf.commands.status import status_lines
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.training.accelerate_state import AccelerateState
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import JournalError
from autobert_hf.records.study import Study
from autobert_hf.searchers.supernets import ChoiceSupernet


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


@pytest.mark.slow  # test_aligned_paths trains by all of them
def test_every_policy_trains_other_weights(text, tmp_path):
    policies = ("magic-at", "magic-a", "magic-t", "average-alignment", "single-path")
    found = {name: losses(text, tmp_path / name, policy=name) for name in policies}
    assert len({tuple(values[:2]) for values in found.values()}) == len(policies)


@pytest.mark.parametrize("loss", [pytest.param("mlm+nsp", marks=pytest.mark.slow), "rtd", "blocks"])
def test_anchors_of_other_losses(text, tmp_path, loss):
    """Pairs and replaced tokens have answers, right or wrong; blocks have none, and are judged by their error."""
    given = {"loss": loss, "supernet_steps": 6}
    if loss == "blocks":
        given |= {"teacher": teacher(tmp_path / "teacher")}
    found = losses(text, tmp_path / loss, policy="magic-at", **given)
    with AccelerateState():
        best, evaluator = load_study(tmp_path / loss).best, reopen(tmp_path / loss).open_evaluator(tmp_path)
        assert evaluator.loss(best.architecture) == best.scores["loss"]
    assert found != losses(text, tmp_path / "alone", policy="magic-t", **given)


def teacher(folder: Path) -> str:
    words = {
        word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ascii_lowercase])
    }
    pieces = {f"##{letter}": len(words) + at for at, letter in enumerate(ascii_lowercase)}
    tokenizer = BertTokenizer(vocab=words | pieces)
    sizes = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertModel(BertConfig(**sizes, vocab_size=len(tokenizer), max_position_embeddings=64))
    rng = torch.Generator().manual_seed(0)
    for parameter in model.parameters():  # at the usual initialisation layers are nearly linear
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=rng)
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


SHRINKING = {"strategy": "shrinking", "candidates": 8, "remaining": 2, "shrink_batches": 1}


@pytest.mark.usefixtures("rendering")
def test_shrinking_halves_the_set_and_trains_what_remains(text, tmp_path):
    study = search("magic", train_file=text, output_dir=str(tmp_path / "run"), **SMALL | SHRINKING)
    rounds = [Study.read(tmp_path / "run", f"round-{number}").trials for number in (1, 2)]
    assert [len(trials) for trials in [*rounds, study.trials]] == [8, 4, 2]
    for before, after in pairwise([*rounds, study.trials]):
        ranked = sorted(before, key=lambda trial: trial.scores["loss"])
        assert [one.architecture for one in after] == [one.architecture for one in ranked[: len(after)]]
    again = {trial.architecture: trial.scores["loss"] for trial in rounds[0]}
    assert all(trial.scores["loss"] != again[trial.architecture] for trial in rounds[1]), "nothing trained between"
    assert study.best.architecture in {trial.architecture for trial in study.trials}
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "among 8 candidates" in card and "They remained of 8: while the shared weights were trained, rounds" in card
    assert "round-2: 4 of 4 candidates\nsearch: 2 of 2 candidates" in "\n".join(status_lines(tmp_path / "run"))
    assert study.model(study.best, train=False).config.num_hidden_layers == 4


def test_a_round_is_not_judged_again_with_later_weights(text, tmp_path):
    given = SMALL | SHRINKING | {"train_file": text, "output_dir": str(tmp_path / "run")}
    study = search("magic", **given)
    last, first = (tmp_path / "run" / f"journal-{name}.jsonl" for name in ("round-2", "round-1"))
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))  # of the weights that are there
    assert search("magic", **given).trials == study.trials
    first.write_bytes(b"".join(first.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(JournalError, match="journal-round-1.jsonl holds 7 of 8 lines that the weights in the run's"):
        search("magic", **given)


def test_only_survivors_train_after_the_warm_up(text, tmp_path, monkeypatch):
    trained: list[Architecture] = []
    original = ChoiceSupernet.network

    def watched(self, architecture, training=True):
        if training:
            trained.append(architecture)
        return original(self, architecture, training)

    monkeypatch.setattr(ChoiceSupernet, "network", watched)
    given = SMALL | SHRINKING | {"supernet_steps": 40, "policy": "magic-t", "shards": 1}
    search("magic", train_file=text, output_dir=str(tmp_path / "run"), **given)
    first, second = (
        {trial.architecture for trial in Study.read(tmp_path / "run", f"round-{number}").trials} for number in (1, 2)
    )
    warmup, one, two = trained[:12], trained[12:26], trained[26:]
    assert len(two) == 14 and set(one) <= first and set(two) <= second
    assert not set(warmup) <= first and len(set(one)) > 3 and len(set(two)) > 2


def test_the_preset_4x4_judges_all_256_chains(text, tmp_path):
    given = {name: value for name, value in SMALL.items() if name not in ("num_hidden_layers", "num_trials")}
    study = search("magic", train_file=text, output_dir=str(tmp_path / "run"), preset="4x4", **given)
    assert len({trial.architecture for trial in study.trials if trial.ok}) == 4**4
    assert study.best.scores["loss"] == min(trial.scores["loss"] for trial in study.trials)


def test_shrinking_and_listing_keep_within_the_limits(text, tmp_path):
    sizes = SMALL | {"num_hidden_layers": 2, "num_trials": 99}
    whole = search("magic", train_file=text, output_dir=str(tmp_path / "all"), **sizes | {"strategy": "exhaustive"})
    assert len({trial.architecture for trial in whole.trials}) == 16
    most = sorted(trial.scores["parameters"] for trial in whole.trials)[7]
    within = sum(trial.scores["parameters"] <= most for trial in whole.trials)
    for strategy in ("exhaustive", "shrinking"):
        given = sizes | SHRINKING | {"strategy": strategy, "max_params": most, "candidates": 16}
        study = search("magic", train_file=text, output_dir=str(tmp_path / strategy), **given)
        first = study if strategy == "exhaustive" else Study.read(tmp_path / strategy, "round-1")
        assert len(first.trials) == within < 16
        assert all(trial.ok and trial.scores["parameters"] <= most for trial in [*first.trials, *study.trials])


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
        (["--strategy", "shrinking", "--candidates", "8"], "remaining is 8 of 8 candidates: there is nothing to"),
        (["--strategy", "shrinking", "--shrink-warmup", "1"], "shrink_warmup is 1.0: give a share below 1"),
        (["--strategy", "shrinking", "--supernet-steps", "3"], "3 training steps of the supernet are too few"),
        (["--strategy", "shrinking", "--max-params", "9"], "networks of the space keeps within the limits"),
        (["--strategy", "exhaustive", "--num-hidden-layers", "12"], "more than the 20,000 that are listed: give"),
    ],
)
def test_what_cannot_be_searched(text, tmp_path, capsys, given, sentence):
    options = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["search", "--method", "magic", "--train-file", text, "--output-dir", str(tmp_path / "run"), *options]
    assert main([*command, *given]) == 1
    assert sentence in capsys.readouterr().err
