"""Generation: caches, padding and strategies, on weights so large that an error shows."""

from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import CompileConfig, DynamicCache, PreTrainedModel, set_seed
from transformers.generation import GenerateDecoderOnlyOutput

from autobert_hf import AutoBertConfig, AutoBertForCausalLM

from .shapes import build, settings_of, tokens


CLOSE = {"atol": 1e-5, "rtol": 1e-5}
STRATEGIES = {"greedy": {}, "sampling": {"do_sample": True, "top_k": 20}, "beams": {"num_beams": 3}}
decoders = pytest.mark.parametrize("shape", ["decoder", "hybrid_decoder", "mixed_decoder"])

PUBLISHED = sorted({layer.attention_formula for _, layer in AutoBertConfig.from_zoo("autobert-zero-base").layers()})
ONE_CONVOLUTION = {"layer_types": ["conv", "full_attention"], "conv_kernel_size": 7}
VARIANTS = {
    "attention": {},
    "four projections": {"attention_formula": "softmax((q + p) @ softsign(k).T / sqrt(d)) @ (v - p)"},
    **{f"published {number}": {"attention_formula": formula} for number, formula in enumerate(PUBLISHED)},
    "lightweight": ONE_CONVOLUTION,
    "softmax over taps": ONE_CONVOLUTION | {"conv_softmax": True},
    "separable": ONE_CONVOLUTION | {"conv_type": "separable"},
    "hybrid": {"layer_types": ["hybrid", "hybrid"], "qkv_conv_size": 5},
    "everything": {
        "num_hidden_layers": 3,
        "layer_types": ["hybrid", "conv", "full_attention"],
        "norm_position": "primer",
        "norm_type": "rms_norm",
        "final_norm": True,
        "per_layer_config": {0: {"qkv_conv_size": 3, "layer_width": 24, "num_attention_heads": 3}},
    },
}


def generate(model: PreTrainedModel, ids: torch.Tensor, **options: Any) -> GenerateDecoderOnlyOutput:
    set_seed(0)
    return model.generate(ids, max_new_tokens=12, return_dict_in_generate=True, output_logits=True, **options)


def assert_same(one: GenerateDecoderOnlyOutput, other: GenerateDecoderOnlyOutput) -> None:
    assert torch.equal(one.sequences, other.sequences)
    torch.testing.assert_close(torch.stack(one.logits), torch.stack(other.logits), **CLOSE)
    assert one.logits[-1].std() > 0.5


@decoders
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_cached_equals_uncached(shape: str, strategy: str) -> None:
    model = build(AutoBertForCausalLM, shape)
    cached, uncached = (generate(model, tokens(2, 6), use_cache=use, **STRATEGIES[strategy]) for use in (True, False))
    assert_same(cached, uncached)


@decoders
def test_a_static_cache_equals_the_growing_one(shape: str) -> None:
    model = build(AutoBertForCausalLM, shape)
    ids, mask = left_padded()
    static, growing = (generate(model, ids, attention_mask=mask, cache_implementation=c) for c in ("static", None))
    assert_same(static, growing)


@pytest.mark.skipif(torch.__version__ < "2.11", reason="transformers compiles whole from torch 2.11 on")
@decoders
def test_decoding_compiles_without_a_graph_break(shape: str) -> None:
    torch.compiler.reset()
    model = build(AutoBertForCausalLM, shape)
    compiled = CompileConfig(fullgraph=True, dynamic=False, backend="eager")
    compiled._compile_all_devices = True  # generate() compiles on accelerators only
    ids, mask = left_padded()
    options = {"cache_implementation": "static", "compile_config": compiled}
    assert_same(generate(model, ids, attention_mask=mask, **options), generate(model, ids, attention_mask=mask))
    assert hasattr(model, "_compiled_call")


@decoders
def test_every_greedy_token_is_the_best_one_of_a_single_pass(shape: str) -> None:
    model = build(AutoBertForCausalLM, shape)
    sequences = generate(model, tokens(2, 6)).sequences
    assert torch.equal(sequences[:, 6:], model(sequences).logits[:, 5:-1].argmax(-1))


def left_padded() -> tuple[torch.Tensor, torch.Tensor]:
    ids = tokens(2, 6)
    mask = torch.ones_like(ids)
    mask[0, :3] = ids[0, :3] = 0
    return ids, mask


@decoders
@pytest.mark.parametrize("options", [{}, {"use_cache": False}, {"cache_implementation": "static"}, {"num_beams": 3}])
def test_left_padded_batches_generate_as_single_ones(shape: str, options: dict[str, Any]) -> None:
    model = build(AutoBertForCausalLM, shape)
    ids, mask = left_padded()
    batch = generate(model, ids, attention_mask=mask, **options)
    for row, alone in enumerate((ids[:1, 3:], ids[1:])):
        single = generate(model, alone, **options)
        assert torch.equal(batch.sequences[row, 6:], single.sequences[0, alone.shape[1] :])
        beams = options.get("num_beams", 1)
        first = batch.logits[0][row * beams : (row + 1) * beams]
        torch.testing.assert_close(first, single.logits[0], **CLOSE)


@decoders
def test_guessed_tokens_are_taken_back_from_every_cache(shape: str) -> None:
    model = build(AutoBertForCausalLM, shape)
    ids = tokens(1, 3).repeat(1, 3)
    assert torch.equal(generate(model, ids, prompt_lookup_num_tokens=3).sequences, generate(model, ids).sequences)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pieces", [[1] * 12, [5, 1, 1, 5], [1, 11]])
def test_step_by_step_equals_one_pass(variant: str, pieces: list[int]) -> None:
    model = build(AutoBertForCausalLM, "decoder", **VARIANTS[variant])
    ids, cache = tokens(2, 12), DynamicCache(config=model.config)
    with torch.no_grad():
        whole = model(ids).logits
        stepwise = [model(piece, cache=cache, use_cache=True).logits for piece in ids.split(pieces, 1)]
    assert whole.std() > 0.5
    torch.testing.assert_close(torch.cat(stepwise, 1), whole, **CLOSE)


@decoders
def test_a_lost_state_would_show(shape: str) -> None:
    """What the comparisons above rest on: each state of each layer moves the next logits far beyond the tolerance."""
    model = build(AutoBertForCausalLM, shape)
    ids = tokens(2, 12)
    with torch.no_grad():
        whole = model(ids).logits[:, -1]
        for layer, kind in enumerate(model.config.layer_types):
            lost = {"full_attention": ["keys", "values"], "conv": ["conv_states"]}
            for name in lost.get(kind, ["keys", "values", "conv_states"]):
                cache = model(ids[:, :-1], use_cache=True).cache
                state = getattr(cache.layers[layer], name)
                (state[0] if name == "conv_states" else state).zero_()
                without = model(ids[:, -1:], cache=cache).logits[:, 0]
                assert (without - whole).abs().max() > 1e-2, (layer, name)


@decoders
def test_generation_from_embeddings(shape: str) -> None:
    model = build(AutoBertForCausalLM, shape)
    ids = tokens(2, 6)
    embedded = generate(model, None, inputs_embeds=model.get_input_embeddings()(ids))
    assert torch.equal(embedded.sequences, generate(model, ids).sequences[:, 6:])


def test_decoding_past_the_last_position_says_so() -> None:
    model = build(AutoBertForCausalLM, "decoder", max_position_embeddings=8)
    cache = model(tokens(1, 8), use_cache=True).cache
    with pytest.raises(ValueError, match="9 tokens, but max_position_embeddings is 8"):
        model(tokens(1, 1), cache=cache)


@decoders
@pytest.mark.parametrize("options", [{}, {"use_cache": False}, {"cache_implementation": "static"}, {"num_beams": 2}])
def test_generating_past_the_last_position_says_so(shape: str, options: dict[str, Any]) -> None:
    model = build(AutoBertForCausalLM, shape, max_position_embeddings=8)
    assert model.generate(tokens(2, 6), max_new_tokens=3, do_sample=False, **options).shape == (2, 9)
    sentence = "generate has come to token 9, but max_position_embeddings is 8"
    with pytest.raises(ValueError, match=sentence):
        model.generate(tokens(2, 6), max_new_tokens=4, do_sample=False, **options)
    with pytest.raises(ValueError, match="token 10, but max_position_embeddings is 8"):
        model.generate(tokens(2, 10), max_new_tokens=1, do_sample=False, **options)


def test_a_padded_batch_may_be_longer_than_the_positions() -> None:
    model = build(AutoBertForCausalLM, "decoder", max_position_embeddings=8)
    ids = torch.cat([torch.zeros(1, 6, dtype=torch.long), tokens(1, 4)], 1)
    assert model.generate(ids, attention_mask=(ids > 0).long(), max_new_tokens=5, do_sample=False).shape == (1, 15)


@pytest.mark.parametrize(
    "refused, sentence",
    [
        ({"layer_types": ["conv", "conv"]}, "at least one attention layer"),
        ({"attention_formula": "softmax(q @ k.T) @ softmax(k @ v.T) @ v"}, "cannot be used in a decoder"),
        ({"attention_formula": "cosine(q, k) @ v"}, "not of the form"),
    ],
)
def test_what_no_cache_can_hold_is_refused_by_name(refused: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=sentence):
        AutoBertConfig(**settings_of("decoder") | refused)
