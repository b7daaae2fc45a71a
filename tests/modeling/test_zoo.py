"""The published architectures: built without memory, counted in two ways, and held against the papers' figures."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import transformers
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import autobert_hf
from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.modeling.arithmetic import count_encoder_parameters, count_flops, count_parameters
from autobert_hf.modeling.formula import Formula
from autobert_hf.modeling.zoo import ZOO, zoo_settings
from autobert_hf.zoo_table import zoo_table


# The paper's parameters and how far ours are from them, in millions, for every row with a printed figure.
PUBLISHED = {
    "bert-tiny": (4.4, 0.0),
    "bert-mini": (11.3, 0.0),
    "bert-small": (29.1, 0.0),
    "bert-medium": (41.7, 0.0),
    "bert-base": (110.1, 0.0),
    "bert-large": (340, -3.8),
    "autobert-zero-base": (104, -0.4),
    "autobert-zero-large": (318, -3.8),
    "autotinybert-kd-s1": (30.0, -0.4),
    "autotinybert-kd-s4": (10.1, -0.3),
    "nas-bert-60m": (60, -12.8),
    "nas-bert-55m": (55, -12.5),
    "nas-bert-50m": (50, -12.4),
    "nas-bert-45m": (45, -10.8),
    "nas-bert-40m": (40, -8.1),
    "nas-bert-35m": (35, -11.9),
    "nas-bert-30m": (30, -5.9),
    "nas-bert-25m": (25, -3.8),
    "nas-bert-20m": (20, -6.4),
    "nas-bert-15m": (15, -5.5),
    "nas-bert-10m": (10, -2.3),
    "nas-bert-5m": (5, -2.1),
    "autodistil-agnostic": (26.8, 5.1),
    "autodistil-proxy-b": (50.1, 3.5),
    "autodistil-proxy-s": (26.1, 3.8),
    "autodistil-proxy-t": (6.88, 2.3),
    "primer-ez": (35, 0.9),
    "primer": (35, 2.5),
}

# Decoder parameters of LiteTransformerSearch's released models.
LTS_DECODERS = {
    "lts-gpt2-corei7-fastest": 6_010_496,
    "lts-gpt2-corei7-median": 41_952_704,
    "lts-gpt2-corei7-best": 99_783_424,
    "lts-gpt2-titanxp-fastest": 8_101_696,
    "lts-gpt2-titanxp-median": 52_655_552,
    "lts-gpt2-titanxp-best": 98_793_152,
}

# Classes of models and the head of `count_parameters` that they have.
HEADS = {
    "pooler": "Model",
    "masked_lm": "ForMaskedLM",
    "causal_lm": "ForCausalLM",
    "pre_training": "ForPreTraining",
    "next_sentence_prediction": "ForNextSentencePrediction",
    "replaced_token_detection": "ForReplacedTokenDetection",
    "sequence_classification": "ForSequenceClassification",
    "token_classification": "ForTokenClassification",
    "question_answering": "ForQuestionAnswering",
    "multiple_choice": "ForMultipleChoice",
}

# Formulas whose products stand elsewhere than in softmax(q @ k.T) @ v: the interpreter's, both operands of another,
# and one of which the lowered form computes a transpose anew.
FORMULAS = (
    "q @ (k.T @ v)",
    "softmax(cosine(q, k)) @ v",
    "softmax(softmax(q @ k.T) @ v @ k.T) @ (softmax(q @ p.T) @ v)",
    "z = k.T @ softmax(q @ k.T); softmax(q @ z) @ z.T",
    "q @ softmax(k.T @ v)",
)


def of_zoo(name: str, **overrides: object) -> AutoBertConfig:
    return AutoBertConfig.from_zoo(name, attn_implementation="eager", **overrides)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@lru_cache
def bare(name: str) -> AutoBertModel:
    with torch.device("meta"):
        return AutoBertModel(of_zoo(name), add_pooling_layer=False).eval()


@torch.no_grad()
def torch_flops(model: nn.Module, length: int = 128, batch: int = 1) -> int:
    ids = torch.zeros(batch, length, dtype=torch.long, device=model.device)
    with FlopCounterMode(display=False) as counter:
        model(ids)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ZOO)
def test_parameters_equal_those_of_the_built_module(name: str) -> None:
    assert count_parameters(bare(name).config) == parameters(bare(name))


@pytest.mark.parametrize("name", ZOO)
def test_flops_equal_torchs_counter(name: str) -> None:
    assert count_flops(bare(name).config) == torch_flops(bare(name))


@pytest.mark.parametrize("name", ["autobert-zero-small", "nas-bert-25m", "primer-ez", "lts-gpt2-corei7-median"])
def test_flops_at_another_length_and_batch(name: str) -> None:
    assert count_flops(bare(name).config, length=40, batch=3) == torch_flops(bare(name), length=40, batch=3)


@pytest.mark.parametrize("formula", FORMULAS)
def test_flops_of_unusual_formulas(formula: str) -> None:
    """Length and head_dim differ, so that swapped axes cannot pass."""
    config = AutoBertConfig(
        num_hidden_layers=1, hidden_size=24, num_attention_heads=3, attention_formula=formula, intermediate_size=7
    )
    config._attn_implementation = "eager"
    with torch.device("meta"):
        model = AutoBertModel(config, add_pooling_layer=False).eval()
    assert count_flops(config, length=11) == torch_flops(model, length=11)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_of_every_head(head: str, tied: bool) -> None:
    config = AutoBertConfig(
        vocab_size=31,
        hidden_size=24,
        embedding_size=20,
        num_hidden_layers=2,
        layer_types=["hybrid", "conv"],
        per_layer_config={0: {"qkv_conv_size": 3, "gated_ffn": True}, 1: {"layer_width": 36}},
        norm_type="rms_norm",
        final_norm=True,
        tie_word_embeddings=tied,
        num_labels=5,
        is_decoder=head == "causal_lm",
    )
    with torch.device("meta"):
        model = getattr(autobert_hf, f"AutoBert{HEADS[head]}")(config)
    assert count_parameters(config, head) == parameters(model)


def test_unknown_head_is_named() -> None:
    with pytest.raises(ValueError, match="no head 'pooled'; count one of model, pooler, "):
        count_parameters(AutoBertConfig(num_hidden_layers=1), "pooled")


def test_published_table_is_complete() -> None:
    assert {name: paper for name, (paper, _) in PUBLISHED.items()} == {
        name: entry.paper_parameters for name, entry in ZOO.items() if entry.paper_parameters is not None
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_deviation_from_the_paper(name: str) -> None:
    """A deviation beyond rounding is explained in the entry's note."""
    paper, deviation = PUBLISHED[name]
    ours = count_parameters(of_zoo(name), ZOO[name].head) / 1e6
    assert ours - paper == pytest.approx(deviation, abs=0.051)
    assert abs(deviation) <= 0.05 or ZOO[name].note


def test_autobert_zero_base_has_103_6_million() -> None:
    assert count_parameters(of_zoo("autobert-zero-base"), "pooler") / 1e6 == pytest.approx(103.6, abs=0.2)


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("bert-")])
def test_bert_rows_are_transformers_bert(name: str) -> None:
    config = of_zoo(name)
    reference = transformers.BertConfig(**ZOO[name].settings)
    with torch.device("meta"):
        model, pretraining = transformers.BertModel(reference), transformers.BertForPreTraining(reference)
    assert count_parameters(config, "pooler") == parameters(model)
    assert count_parameters(config, "pre_training") == parameters(pretraining)


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("nas-bert-")])
def test_nas_bert_with_an_output_matrix_is_within_5_million(name: str) -> None:
    """What the note says about the distance to the paper's figures."""
    ours = count_parameters(of_zoo(name, tie_word_embeddings=False), "masked_lm") / 1e6
    assert abs(ours - ZOO[name].paper_parameters) < 5


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith("nas-bert-")])
def test_nas_bert_rows_obey_their_space(name: str) -> None:
    """Section 3.1: 24 layers at most, attention heads of 64, feed-forward networks of four times the width."""
    layers = list(of_zoo(name).layers())
    assert len(layers) <= 24
    for kind, layer in layers:
        assert layer.layer_width in (128, 192, 256, 384, 512)
        if kind == "conv":
            assert (layer.conv_kernel_size in (3, 5, 7), layer.conv_type) == (True, "separable")
        elif "mixer" in layer.skip:
            assert layer.intermediate_size == 4 * layer.layer_width
        else:
            assert (layer.head_dim, layer.num_attention_heads) == (64, layer.layer_width // 64)


def test_autodistil_counts_are_those_of_the_released_modules() -> None:
    names = [name for name in ZOO if name.startswith("autodistil-")]
    counts = [round(count_parameters(of_zoo(name), "pooler") / 1e6, 1) for name in names]
    assert counts == [31.9, 53.6, 29.9, 9.1]


def test_large_repeats_each_pair_of_the_base() -> None:
    base, large = (
        [
            (kind, layer.conv_kernel_size if kind == "conv" else layer.attention_formula)
            for kind, layer in of_zoo(f"autobert-zero-{size}").layers()
        ]
        for size in ("base", "large")
    )
    pairs = [base[i : i + 2] for i in range(0, 12, 2)]
    assert large == [layer for pair in pairs for layer in pair + pair]
    assert [kernel for kind, kernel in base if kind == "conv"] == [65, 9, 3, 7, 7, 3]
    assert [layer.num_attention_heads for _, layer in of_zoo("autobert-zero-large").layers()] == [16] * 24


def softmax_attention(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, keys, values)


@pytest.mark.parametrize(
    ("layer", "closed_form"),
    [
        (2, lambda q, k, v, d: softmax_attention(q, F.softplus(k), k + q)),
        (4, lambda q, k, v, d: softmax_attention(q, F.softplus(-(F.logsigmoid(q) + q + k)), q)),
        (6, lambda q, k, v, d: softmax_attention(q, F.softplus(-k), q)),
        (8, lambda q, k, v, d: softmax_attention(q, F.softplus(-k), q)),
        (10, lambda q, k, v, d: softmax_attention(q, k / d + F.softsign(F.softsign(k) / d) + v, v)),
        (12, lambda q, k, v, d: softmax_attention(q, k / d + v, v)),
    ],
)
def test_autobert_zero_attentions_have_their_closed_form(layer: int, closed_form: Callable[..., Tensor]) -> None:
    """The equations beside Figure 7; d stands for the root of the head dimension."""
    formula = Formula(dict(enumerate(of_zoo("autobert-zero-base").layers()))[layer - 1][1].attention_formula)
    inputs = dict(zip("qkv", 3 * torch.randn(3, 2, 4, 7, 9, dtype=torch.float64), strict=True))
    torch.testing.assert_close(
        formula({name: inputs[name] for name in formula.inputs}, None), closed_form(*inputs.values(), 3.0)
    )


@pytest.mark.parametrize("name", ["autobert-zero-base", "nas-bert-25m", "primer", "lts-gpt2-corei7-median"])
def test_configuration_survives_saving(name: str, tmp_path: Path) -> None:
    config = AutoBertConfig.from_zoo(name)
    config.save_pretrained(tmp_path)
    loaded = AutoBertConfig.from_pretrained(tmp_path)
    assert loaded == config
    assert count_parameters(loaded) == count_parameters(config)


@pytest.mark.parametrize("name", LTS_DECODERS)
def test_lts_points_have_the_published_decoder(name: str) -> None:
    """Javaheripi et al.: d_inner >= 1.7 d_model, steps of 64, 2, 4 or 8 heads; parameters as their logs count them."""
    config = of_zoo(name)
    d, layers = config.hidden_size, [layer for _, layer in config.layers()]
    assert all(layer.intermediate_size >= 1.7 * d and layer.intermediate_size % 64 == 0 for layer in layers)
    assert {layer.num_attention_heads for layer in layers} <= {2, 4, 8}
    assert all(layer.num_attention_heads * layer.head_dim == d for layer in layers)
    assert count_encoder_parameters(config) == LTS_DECODERS[name]


def test_all_lts_points_are_tested() -> None:
    assert {*LTS_DECODERS} == {name for name in ZOO if name.startswith("lts-")}


@pytest.mark.parametrize(
    ("name", "sizes"), [("autotinybert-s5", (5, 450, 636, 6, 384)), ("autotinybert-fast-s5", (5, 432, 720, 6, 384))]
)
def test_autotinybert_s5_is_as_published(name: str, sizes: tuple[int, ...]) -> None:
    """Layers, width, feed-forward width, heads, width of the attention; 450 is off the grid of steps of 4."""
    config = of_zoo(name)
    attention = config.num_attention_heads * config.head_dim
    found = (config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_attention_heads)
    assert (*found, attention) == sizes
    assert bool(ZOO[name].note) == bool(config.hidden_size % 4)


def test_overrides_win() -> None:
    config = AutoBertConfig.from_zoo("autobert-zero-small", vocab_size=99, num_labels=7)
    assert (config.vocab_size, config.num_labels, config.hidden_size) == (99, 7, 256)


def test_settings_are_a_copy() -> None:
    zoo_settings("autobert-zero-base")["per_layer_config"][0]["conv_kernel_size"] = 5
    assert zoo_settings("autobert-zero-base")["per_layer_config"][0]["conv_kernel_size"] == 65


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("AutoBERT-Zero", r"'AutoBERT-Zero': did you mean autobert-zero-\w+ or .*\? `autobert zoo` lists all"),
        ("bert-bass", r"'bert-bass': did you mean bert-base"),
        ("xyz", r"'xyz': `autobert zoo` lists all"),
    ],
)
def test_unknown_name_leads_on(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoBertConfig.from_zoo(name)


@pytest.mark.parametrize(
    "sizes", [{"hidden_size": 10**6}, {"vocab_size": 10**12}, {"intermediate_size": 10**15}, {"head_dim": 10**9}]
)
def test_absurd_sizes_are_refused_before_anything_is_built(sizes: dict[str, int]) -> None:
    """2e13 parameters and more could not be allocated here at all."""
    with pytest.raises(StrictDataclassClassValidationError, match="more than the budget of 4,000,000,000"):
        AutoBertConfig.from_zoo("bert-base", **sizes)


def test_documentation_is_up_to_date() -> None:
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert zoo_table() in page, "replace the table and the notes in docs/zoo.md by the output of `autobert zoo`"
