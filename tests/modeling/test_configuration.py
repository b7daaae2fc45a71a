"""What the configuration accepts, keeps and refuses."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError, StrictDataclassError

from autobert_hf import AutoBertConfig


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
REFUSALS = (ValueError, TypeError, StrictDataclassError)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layer_types": ["conv", "fourier"]}, "fourier"),
        ({"layer_types": ["conv"]}, "layer_types"),
        ({"per_layer_config": {0: {"hidden_size": 16}}}, "Layer 0: 'hidden_size' cannot differ by layer"),
        ({"per_layer_config": {0: {"kernel": 3}}}, "Layer 0: 'kernel' cannot differ by layer"),
        ({"per_layer_config": {2: {"conv_kernel_size": 3}}}, "names layer 2, but the layers are 0 to 1"),
        ({"per_layer_config": {-1: {"conv_kernel_size": 3}}}, "names layer -1"),
        ({"per_layer_config": {"x": {"conv_kernel_size": 3}}}, "names layer 'x'"),
        ({"per_layer_config": [{"conv_kernel_size": 3}]}, "must map layer numbers"),
        ({"per_layer_config": {1: {"intermediate_size": -4}}}, "Layer 1: intermediate_size must be a positive"),
        ({"per_layer_config": {1: {"skip": ["norm"]}}}, r"skip holds \['norm'\]"),
        ({"per_layer_config": {1: {"skip": "mixer"}}}, "skip"),
        ({"skip": ["mixer"]}, "differs by layer"),
        ({"hidden_size": -32}, "hidden_size must be a positive integer"),
        ({"hidden_size": 0}, "hidden_size must be a positive integer"),
        ({"hidden_size": 10**7}, "more than the budget"),
        ({"vocab_size": 10**12}, "more than the budget"),
        ({"num_hidden_layers": 0, "layer_types": []}, "num_hidden_layers must be a positive integer"),
        ({"num_hidden_layers": 100_000}, "at most 1000"),
        ({"type_vocab_size": -3}, "at least 0"),
        ({"hidden_size": "32"}, "hidden_size"),
        ({"layer_types": ["conv", "conv"], "conv_kernel_size": 4}, "Layer 0: conv_kernel_size must be odd"),
        ({"layer_types": ["conv", "conv"], "conv_num_heads": 5}, "not divisible by conv_num_heads"),
        ({"layer_types": ["hybrid", "conv"]}, "needs layer type 'hybrid'"),
        ({"qkv_conv_size": 3}, "needs layer type 'hybrid'"),
        ({"attention_formula": "softmax(q @ k) @ v"}, "attention_formula"),
        ({"attention_formula": "__import__('os').system('true')"}, "attention_formula"),
        ({"attention_formula": "(" * 10_000 + "q" + ")" * 10_000}, "attention_formula"),
        ({"attention_formula": " + ".join(["q"] * 5_000)}, "attention_formula"),
        ({"attention_formula": "q" * 65_536}, "attention_formula"),
        ({"hidden_act": "explode"}, "hidden_act"),
        ({"is_decoder": True, "layer_types": ["conv", "conv"]}, "at least one attention layer"),
        ({"is_decoder": True, "attention_formula": "q @ (k.T @ v)"}, "cannot be used in a decoder"),
        ({"is_decoder": True, "per_layer_config": {0: {"skip": ["mixer"]}}}, "a decoder cannot skip a mixer"),
        ({"format_version": 2}, "newer than 1"),
    ],
)
def test_refusals_name_the_thing(settings, sentence):
    with pytest.raises(REFUSALS, match=sentence) as error:
        AutoBertConfig(**(SMALL | settings))
    assert len(str(error.value)) < 1500


def test_setting_a_wrong_type_is_refused():
    config = AutoBertConfig(**SMALL)
    with pytest.raises(StrictDataclassError):
        config.hidden_size = "64"


def test_a_configuration_broken_later_is_not_saved(tmp_path):
    config = AutoBertConfig(**SMALL)
    config.layer_types = ["conv"]
    with pytest.raises((ValueError, StrictDataclassClassValidationError)):
        config.save_pretrained(tmp_path)


def test_heterogeneous_round_trip_and_equality(tmp_path):
    config = AutoBertConfig(
        **SMALL, layer_types=["conv", "full_attention"], per_layer_config={0: {"conv_kernel_size": 9, "skip": []}}
    )
    config.save_pretrained(tmp_path)
    again = AutoBertConfig.from_pretrained(tmp_path)
    assert again == config
    assert again.per_layer_config[0].conv_kernel_size == 9
    assert again.per_layer_config[1].conv_kernel_size == 3
    assert again != AutoBertConfig(**SMALL)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["per_layer_config"] == {"0": {"conv_kernel_size": 9}}


def test_third_party_code_may_ask_with_hasattr():
    config = AutoBertConfig(**SMALL, per_layer_config={0: {"num_attention_heads": 2}})
    assert hasattr(config, "num_attention_heads")
    assert config.num_attention_heads == 4


def test_the_file_does_not_choose_the_attention_library(tmp_path):
    AutoBertConfig(**SMALL).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    data = json.loads(path.read_text()) | {"attn_implementation": "someone/kernel", "_attn_implementation": "x/y"}
    path.write_text(json.dumps(data))
    assert AutoBertConfig.from_pretrained(tmp_path)._attn_implementation is None
    chosen = AutoBertConfig.from_pretrained(tmp_path, attn_implementation="eager")
    assert chosen._attn_implementation == "eager"


def test_head_width_is_independent_of_the_stream():
    config = AutoBertConfig(**SMALL, head_dim=20)
    assert config.per_layer_config[0].head_dim * config.per_layer_config[0].num_attention_heads == 80
