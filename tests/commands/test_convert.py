"""`autobert convert` and `autobert zoo` as a user calls them."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
)

from autobert_hf.cli import main
from autobert_hf.modeling.zoo import ZOO


SIZES = {"vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES["intermediate_size"] = 24


@pytest.fixture
def bert(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(tmp_path / "bert")
    BertForMaskedLM(BertConfig(**SIZES)).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_there_and_back_with_head_and_tokenizer(bert, tmp_path, capsys):
    assert main(["convert", str(bert), str(tmp_path / "ours")]) == 0
    assert "AutoBertForMaskedLM" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "again")]) == 0
    inputs = AutoTokenizer.from_pretrained(tmp_path / "ours")("a b c", return_tensors="pt")
    logits = [
        AutoModelForMaskedLM.from_pretrained(folder)(**inputs).logits
        for folder in (bert, tmp_path / "ours", tmp_path / "again")
    ]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits[2], logits[0], atol=1e-5, rtol=1e-5)
    assert AutoModel.from_pretrained(tmp_path / "again").config.model_type == "bert"


def test_a_pooler_that_is_not_in_the_file_is_not_made_up(tmp_path):
    BertModel(BertConfig(**SIZES), add_pooling_layer=False).save_pretrained(tmp_path / "bert")
    assert main(["convert", str(tmp_path / "bert"), str(tmp_path / "ours")]) == 0
    assert AutoModel.from_pretrained(tmp_path / "ours").pooler is None
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "again")]) == 0
    assert not [name for name in load_file(tmp_path / "again" / "model.safetensors") if "pooler" in name]


def test_other_weights_that_are_not_in_the_file_are_an_error(bert, tmp_path, capsys):
    path = bert / "config.json"
    path.write_text(path.read_text().replace("BertForMaskedLM", "BertForQuestionAnswering"))
    assert main(["convert", str(bert), str(tmp_path / "out")]) == 1
    assert "holds no qa_outputs.bias, which BertForQuestionAnswering needs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"is_decoder": True}, "a decoder"), ({"is_decoder": True, "add_cross_attention": True}, "cross-attention")],
)
def test_decoders_are_refused_before_weights_are_read(tmp_path, capsys, change, sentence):
    BertConfig(**SIZES, **change).save_pretrained(tmp_path / "decoder")
    assert main(["convert", str(tmp_path / "decoder"), str(tmp_path / "out")]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_destination_is_left_alone(bert, tmp_path, capsys):
    assert main(["convert", str(bert), str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_the_zoo_is_listed_whole(capsys):
    assert main(["zoo"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ZOO)
