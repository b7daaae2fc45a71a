"""Loading: what is damaged, foreign or dangerous is refused with a sentence."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, BertConfig, BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel


SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES["intermediate_size"] = 24


@pytest.fixture
def folder(tmp_path):
    AutoBertForMaskedLM(AutoBertConfig(**SIZES)).save_pretrained(tmp_path)
    return tmp_path


def test_weights_of_another_architecture(folder):
    BertModel(BertConfig(**SIZES)).save_pretrained(folder / "bert")
    (folder / "bert" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(ValueError, match="weights of another architecture"):
        AutoModel.from_pretrained(folder)


def test_weights_of_another_size(folder):
    AutoBertModel(AutoBertConfig(**(SIZES | {"hidden_size": 32}))).save_pretrained(folder / "other")
    (folder / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(RuntimeError, match="size mismatch|mismatch"):
        AutoModelForMaskedLM.from_pretrained(folder)


def test_a_new_head_is_drawn_as_ever(folder):
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert {name for name in info["missing_keys"] if "classifier" in name}
    assert model.num_labels == 2


@pytest.mark.parametrize("make", [AutoBertForMaskedLM, partial(AutoBertModel, add_pooling_layer=False)])
def test_a_network_without_pooler_says_so(tmp_path, make):
    """Else AutoModel would draw one at random."""
    given = AutoBertConfig(**SIZES)
    make(given).save_pretrained(tmp_path)
    assert given.add_pooling_layer  # that of the caller is left alone
    assert json.loads((tmp_path / "config.json").read_text())["add_pooling_layer"] is False
    model, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert model.pooler is None and not info["missing_keys"]
    assert model(torch.tensor([[1, 2]])).pooler_output is None


def test_files_of_earlier_versions_do_not_get_a_random_pooler(folder, caplog):
    path = folder / "config.json"
    data = json.loads(path.read_text())
    del data["add_pooling_layer"]
    path.write_text(json.dumps(data))
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert model.pooler is None and not model.config.add_pooling_layer and not info["missing_keys"]
    assert "no pooler" in caplog.text


def test_a_head_that_needs_a_pooler_has_one_and_says_so(folder):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.save_pretrained(folder / "classifier")
    again = AutoModel.from_pretrained(folder / "classifier")
    assert again.config.add_pooling_layer
    assert torch.equal(again.pooler.dense.weight, model.base_model.pooler.dense.weight)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file(folder, share):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(OSError, match="damaged|safetensors"):
        AutoModelForMaskedLM.from_pretrained(folder)


def test_a_pickle_is_not_opened(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        AutoModelForMaskedLM.from_pretrained(folder)


def test_remote_code_in_the_configuration_does_not_run_beside_the_plugin(folder):
    (folder / "evil.py").write_text("raise SystemExit('evil code ran')\n")
    path = folder / "config.json"
    evil = {"AutoConfig": "evil.Config", "AutoModelForMaskedLM": "evil.Model"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": evil}))
    for trust in (None, False, True):
        model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=trust)
        assert type(model) is AutoBertForMaskedLM


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attention_formula": "__import__('os').abort()"}, "attention_formula"),
        ({"per_layer_config": {"7": {"intermediate_size": 8}}}, "names layer '7'"),
        ({"format_version": 99}, "newer than"),
        ({"is_decoder": True, "attention_formula": "q @ (k.T @ v)"}, "cannot be used in a decoder"),
        ({"vocab_size": 10**9}, "budget"),
    ],
)
def test_a_bad_configuration_stops_before_anything_is_built(folder, change, sentence):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Exception, match=sentence):
        AutoModelForMaskedLM.from_pretrained(folder)


def test_shards_load_like_one_file(tmp_path):
    model = AutoBertForMaskedLM(AutoBertConfig(**SIZES)).eval()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids = torch.arange(5, 15)[None]
    torch.testing.assert_close(AutoModelForMaskedLM.from_pretrained(tmp_path)(ids).logits, model(ids).logits)
