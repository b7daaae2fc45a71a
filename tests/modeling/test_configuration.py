"""What the configuration accepts, keeps and refuses."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError, StrictDataclassError

from autobert_hf import AutoBertConfig


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
NAN = float("nan")
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
        ({"type_vocab_size": -3}, "type_vocab_size must lie between 0"),
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
        ({"pad_token_id": 30522}, "pad_token_id must be None or a token of the vocabulary, 0 to 30521"),
        ({"pad_token_id": -1}, "pad_token_id must be None or a token"),
        ({"hidden_dropout_prob": 5}, "hidden_dropout_prob must lie between 0 and 1"),
        ({"attention_probs_dropout_prob": NAN}, "attention_probs_dropout_prob must lie between 0 and 1"),
        ({"classifier_dropout": -0.1}, "classifier_dropout must lie between 0 and 1"),
        ({"layer_norm_eps": -1e-12}, "layer_norm_eps must lie between 0 and 1"),
        ({"layer_norm_eps": NAN}, "layer_norm_eps must lie between 0 and 1"),
        ({"initializer_range": -0.02}, "initializer_range must lie between 0 and 1,000"),
        ({"initializer_range": float("inf")}, "initializer_range must lie between 0 and 1,000"),
        ({"num_labels": -1}, "num_labels must be an integer from 1 to 1,000,000"),
        ({"num_labels": 0}, "num_labels must be an integer from 1 to 1,000,000"),
        ({"num_labels": 10**8}, "num_labels must be an integer from 1 to 1,000,000"),
        ({"id2label": {}}, "id2label must map at least one number"),
        ({"id2label": {"x": "y"}}, "id2label must map at least one number"),
        ({"per_layer_config": {1: {"skip": 3}}}, "Layer 1: skip must be a list of halves"),
        ({"per_layer_config": {1: {"skip": [["mixer"]]}}}, "Layer 1: skip must be a list of halves"),
        ({"conv_kernel_size": 10**9 + 1}, "conv_kernel_size must be a positive integer of at most 10,001"),
        ({"qkv_conv_size": 10**9 + 1}, "qkv_conv_size must lie between 0 and 10,001"),
        ({"per_layer_config": {0: {"qkv_conv_size": 10**9 + 1}}, "layer_types": ["hybrid", "conv"]}, "at most 10,001"),
        ({"per_layer_config": {1: {"conv_kernel_size": 10**9 + 1}}}, "Layer 1: conv_kernel_size must be a positive"),
        ({"per_layer_config": {"9" * 5000: {"gated_ffn": True}}}, "per_layer_config names layer"),
        ({"__class__": "x"}, "'__class__' is no setting"),
        ({"sub_configs": {}}, "'sub_configs' is no setting"),
        ({"to_dict": 1}, "'to_dict' is no setting"),
        ({"attribute_map": {"hidden_size": "x"}}, "'attribute_map' is no setting"),
        ({"parameter_budget": 10**18, "hidden_size": 10**7}, "'parameter_budget' is no setting"),
        ({"text_config": {"vocab_size": 3}}, "'text_config' is a setting of other kinds"),
        ({"dtype": "save"}, "dtype must be one of float16, bfloat16, float32, float64"),
        ({"torch_dtype": "int8"}, "dtype must be one of float16, bfloat16, float32, float64"),
        ({"problem_type": "x"}, "problem_type must be one of"),
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


@pytest.mark.parametrize("depth", [21, 300, 900])
@pytest.mark.parametrize("name", ["new", "layer_types", "hidden_size", "id2label"])
def test_deep_nesting_is_refused_before_anything_recurses(name, depth, tmp_path):
    (tmp_path / "config.json").write_text(f'{{"{name}": {"[" * depth}{"]" * depth}}}')
    with pytest.raises(ValueError, match="nested"):
        AutoBertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_files_nested_too_deeply_to_be_read(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        AutoBertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_files_that_hold_no_dictionary(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match="must hold a dictionary of settings"):
        AutoBertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("settings", [{"hidden_dropout_prob": 5}, {"pad_token_id": -1}, {"layer_types": ["conv"]}])
def test_keyword_arguments_are_checked_like_the_file(settings, tmp_path):
    AutoBertConfig(**SMALL).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=next(iter(settings))):
        AutoBertConfig.from_pretrained(tmp_path, **settings)


def test_a_wrong_type_in_a_file_is_a_value_error(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": "64"}')
    with pytest.raises(ValueError, match="Field 'hidden_size' expected int, got str"):
        AutoBertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("number", [1, 2, 3, None])
def test_numbers_of_labels_that_are_ones(number):
    assert AutoBertConfig(**SMALL, num_labels=number).num_labels == (number or 2)
