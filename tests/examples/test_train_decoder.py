"""A decoder of random weights learns from a short text, by the plugin and by the code in its folder, and says so."""

import json
import math

import pytest
from transformers import AutoModelForCausalLM, pipeline

from autobert_hf.lab.data.builtin_text import corpus

from .conftest import EXAMPLES


@pytest.fixture(scope="module")
def decoder(network):
    return network("AutoBertForCausalLM", layer_types=["full_attention"] * 2, is_decoder=True, untrained=True)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(corpus(150, seed=0)))
    return tmp_path / "text.txt"


def test_short_enough_to_read():
    assert len((EXAMPLES / "train_decoder.py").read_text().splitlines()) < 40


def test_what_run_clm_does(run, decoder, text, tmp_path):
    assert json.loads((decoder / "config.json").read_text())["untrained"] is True
    names = run("train_decoder.py", decoder, decoder, text, tmp_path / "out")
    losses = [row["loss"] for row in names["trainer"].state.log_history if "loss" in row]
    final = names["trainer"].evaluate(names["text"])["eval_loss"]
    assert final < math.log(len(names["tokenizer"])) - 0.5, losses
    assert json.loads((tmp_path / "out" / "config.json").read_text())["untrained"] is False
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert trained.num_parameters() == names["model"].num_parameters()
    told = pipeline("text-generation", model=str(tmp_path / "out"))("the", max_new_tokens=5)
    assert told[0]["generated_text"].startswith("the")
