"""Sizes of a supernet: fine-tuned, adapted, served."""

import pytest
import torch

from autobert_hf import AutoBertConfig, AutoBertModel, AutoBertSuperNet, SuperNetSpace
from autobert_hf.lab.data.builtin_text import task

from .conftest import EXAMPLES, SIZES, write_table


@pytest.fixture(scope="module")
def supernet(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("supernet")
    box = {"num_hidden_layers": [1, 2, 1], "hidden_size": [16, 32, 16], "intermediate_size": [16, 48, 16]}
    box |= {"num_attention_heads": [1, 2, 1], "head_dim": [16, 16, 1]}
    sizes = {
        "num_hidden_layers": 1,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "head_dim": 16,
    }
    torch.manual_seed(0)
    network = AutoBertModel(AutoBertConfig(vocab_size=len(tokenizer), num_hidden_layers=2, **SIZES))
    space = SuperNetSpace(box, {}, [{"name": "3x", "sizes": sizes, "scores": {}}])
    AutoBertSuperNet.wrap(network, space).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    return write_table(tmp_path / "data", train=task("topic", 16, 0))


def test_fine_tuned(run, supernet, data, tmp_path):
    names = run("supernet_fine_tune.py", supernet, data, tmp_path / "out", "--size", "3x")
    assert names["model"].config.hidden_size == 16


def test_lora(run, supernet, data, tmp_path):
    names = run("supernet_lora.py", supernet, data, tmp_path / "out", "--size", "3x")
    ids = torch.tensor([[5, 6, 7]])
    again, adapted = names["again"].eval(), names["adapted"].eval().cpu()
    assert again.config.hidden_size == 16
    assert torch.allclose(again(ids).logits, adapted(ids).logits, atol=1e-5)


def test_sentences(run, supernet, tmp_path):
    names = run("supernet_sentences.py", supernet, tmp_path / "out", "--size", "3x")
    assert names["vectors"].shape == (2, 16)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("supernet_*.py")), ids=lambda path: path.name)
def test_under_thirty_lines(path):
    assert len(path.read_text().splitlines()) < 30
