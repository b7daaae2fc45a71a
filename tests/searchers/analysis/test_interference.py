"""Cosines of the gradients of shared operations, and the command."""

import json
import random
from pathlib import Path

import pytest
import torch

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, search
from autobert_hf.cli import main
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.searchers.analysis.interference import (
    Gradients,
    by_differences,
    by_kind,
    by_operation,
    cosine,
    differences,
    families,
    gradients_needed,
)
from autobert_hf.searchers.spaces.chain import ChainSpace, identity, main_operations
from autobert_hf.searchers.supernets import ChoiceSupernet


SPACE = ChainSpace(main_operations(16, heads=2), 4, 16)
BASE = AutoBertConfig(vocab_size=60, hidden_size=16, num_attention_heads=2, max_position_embeddings=32)
BATCH = {
    "input_ids": torch.randint(5, 60, (4, 9), generator=torch.Generator().manual_seed(0)),
    "attention_mask": torch.ones(4, 9, dtype=torch.long),
    "labels": torch.full((4, 9), -100).index_fill(1, torch.tensor([1, 2]), 7),
}


@pytest.fixture
def gradient() -> Gradients:
    return Gradients(ChoiceSupernet(SPACE, BASE, 0, AutoBertForMaskedLM), MaskedWords(BASE), BATCH)


def test_a_chain_agrees_with_itself(gradient):
    one = SPACE.sample(random.Random(0))
    assert cosine(gradient(one), gradient(one)) == pytest.approx(1)
    other = SPACE.of(SPACE.names(one)[0], "FFN", "FFN", "CONV3")
    assert cosine(gradient(one), gradient(other)) < 0.999


def test_the_gradient_is_that_of_the_shared_operation(gradient):
    chain = SPACE.of("FFN", "MHA2", "CONV3", "CONV3")
    layer = gradient.supernet.module.autobert.encoder.layers[0].operations[1]
    assert gradient(chain).numel() == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("number", [1, 2, 3])
def test_families_differ_where_they_should(number):
    for chains in families(SPACE, number, 2, random.Random(0)):
        names = [SPACE.names(chain) for chain in chains]
        assert [chain[1] for chain in names] == [*SPACE.operations]
        assert len({chain[0] for chain in names}) == 1
        for layer in range(1, 4):
            assert len({chain[layer] for chain in names}) == (4 if layer <= number else 1)


def test_the_matrix(gradient):
    matrix = by_operation(SPACE, gradient, 1, random.Random(0))
    for i in range(4):
        assert matrix[i][i] == pytest.approx(1)
        assert matrix[i] == pytest.approx([row[i] for row in matrix])
    kinds = by_kind(SPACE, matrix)
    assert kinds["same kind"] == pytest.approx(matrix[2][3])  # CONV3 and CONV5
    assert kinds["all"] == pytest.approx(sum(matrix[i][j] for i in range(4) for j in range(i)) / 6)


def test_the_number_of_gradients(gradient):
    done = []
    counted = lambda one: done.append(one) or gradient(one)  # noqa: E731
    by_operation(SPACE, counted, 2, random.Random(0))
    by_differences(SPACE, counted, 2, random.Random(0))
    assert len(done) + 5 == gradients_needed(SPACE, 2, 5)
    assert differences(ChainSpace(main_operations(16, 2), 12, 16)) == [1, 3, 5, 7, 9, 11]


def test_the_identity_has_no_weights_to_share():
    space = ChainSpace({"ID": identity(), **main_operations(16, heads=2)}, 2, 16)
    gradient = Gradients(ChoiceSupernet(space, BASE, 0, AutoBertForMaskedLM), MaskedWords(BASE), BATCH)
    matrix = by_operation(space, gradient, 1, random.Random(0))
    assert [matrix[i][i] for i in range(5)] == pytest.approx([1] * 5)
    assert gradients_needed(space, 1, 3) == 4 * 5 * 2 + 3


SMALL = {
    "num_hidden_layers": 3, "hidden_size": 16, "num_attention_heads": 2, "vocab_size": 200, "length": 16,
    "batch_size": 8, "held_out_rows": 16, "num_trials": 3, "population": 2, "parents": 1, "children": 1,
    "supernet_steps": 4, "final_tokens": 400, "cpu": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("magic")
    (folder / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    search("magic", train_file=str(folder / "text.txt"), output_dir=str(folder / "run"), **SMALL)
    return folder / "run"


@pytest.mark.usefixtures("rendering")
def test_the_command(run, tmp_path, capsys):
    asked = ["--contexts", "1", "--networks", "3", "--output-dir", str(tmp_path / "out")]
    assert main(["analyze", "interference", str(run), *asked]) == 0
    report = json.loads((tmp_path / "out" / "interference.json").read_text())["runs"]["run"]
    assert report["operations"] == ["MHA2", "FFN", "CONV3", "CONV5"]
    assert [*report["differences"]] == ["1", "2"]
    scores = [row["score"] for row in report["ranks"]]
    assert scores == sorted(scores) and len(scores) == 3
    assert (tmp_path / "out" / "interference.png").stat().st_size > 1000
    text = capsys.readouterr().out
    assert text.strip() == (tmp_path / "out" / "interference.txt").read_text().strip()
    assert "by the number of layers that differ" in text


def test_a_chain_of_one_sub_layer(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    sizes = SMALL | {"num_hidden_layers": 1, "block": 1}
    search("magic", train_file=str(tmp_path / "text.txt"), output_dir=str(tmp_path / "run"), **sizes)
    assert main(["analyze", "interference", str(tmp_path / "run"), "--output-dir", str(tmp_path / "out")]) == 1
    assert "have one sub-layer: there is no other one in which networks" in capsys.readouterr().err


def test_a_run_without_chains(tmp_path, capsys):
    sizes = {name: value for name, value in SMALL.items() if name != "supernet_steps"}
    (tmp_path / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    steps = {"warmup_steps": 2, "candidate_steps": 1}
    search("autobert-zero", train_file=str(tmp_path / "text.txt"), output_dir=str(tmp_path / "run"), **sizes, **steps)
    assert main(["analyze", "interference", str(tmp_path / "run"), "--output-dir", str(tmp_path / "out")]) == 1
    assert "has no shared weights of chains: give one of --method magic" in capsys.readouterr().err
