"""The network: BERT is a point in it, padding is invisible, whatever the check passes runs and survives saving."""

from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertForSequenceClassification, AutoBertModel
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.formula import format_formula
from autobert_hf.searchers.spaces.formulas import FormulaSampler


VOCAB = 50
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def enlarged(model: torch.nn.Module) -> torch.nn.Module:
    """With weights at 0.02 most mistakes hide below any tolerance."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model.eval()


def bert_to_autobert(name: str) -> str:
    renames = {
        "bert.": "autobert.",
        "embeddings.LayerNorm": "embeddings.norm",
        "encoder.layer.": "encoder.layers.",
        "attention.self.": "mixer.",
        "attention.output.dense": "mixer.output.dense",
        "attention.output.LayerNorm": "mixer_norm",
        "intermediate.dense": "feed_forward.intermediate",
        ".output.LayerNorm": ".feed_forward_norm",
        "cls.predictions.transform.dense": "predictions.dense",
        "cls.predictions.transform.LayerNorm": "predictions.norm",
        "cls.predictions.decoder": "predictions.decoder",
    }
    for old, new in renames.items():
        name = name.replace(old, new)
    is_feed_forward = ".output.dense" in name and "mixer" not in name
    return name.replace(".output.dense", ".feed_forward.output.dense") if is_feed_forward else name


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_bert_is_a_point_in_the_vocabulary(attention):
    sizes = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 48, "max_position_embeddings": 40}
    bert = enlarged(BertForMaskedLM._from_config(BertConfig(**sizes), attn_implementation=attention))
    ours = AutoBertForMaskedLM._from_config(AutoBertConfig(**sizes), attn_implementation=attention).eval()
    state = {bert_to_autobert(name): value for name, value in bert.state_dict().items()}
    state.pop("cls.predictions.bias")
    ours.load_state_dict(state)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in bert.parameters())
    ids = torch.randint(1, VOCAB, (3, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 15:], mask[2, 3:] = 0, 0
    types = (torch.arange(20) > 9).long().expand(3, -1)
    labels = ids.masked_fill(torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) > 0.3, -100)
    with torch.no_grad():
        theirs = bert(ids, attention_mask=mask, token_type_ids=types, labels=labels)
        here = ours(ids, attention_mask=mask, token_type_ids=types, labels=labels)
    assert theirs.logits.std() > 0.5
    torch.testing.assert_close(here.logits, theirs.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(here.loss, theirs.loss)


def test_sparse_prediction_gives_the_same_loss_and_gradient():
    config = AutoBertConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    model = enlarged(AutoBertForMaskedLM(config))
    ids = torch.randint(1, VOCAB, (2, 12))
    labels = ids.masked_fill(torch.arange(12) % 4 != 0, -100)
    gradients, losses = [], []
    for sparse in (False, True):
        model.config.sparse_prediction = sparse
        model.zero_grad()
        outputs = model(ids, labels=labels)
        outputs.loss.backward()
        losses.append(outputs.loss)
        gradients.append(model.autobert.embeddings.word_embeddings.weight.grad.clone())
        assert outputs.logits.shape == ((6, VOCAB) if sparse else (2, 12, VOCAB))
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-5)
    assert model(ids).logits.shape == (2, 12, VOCAB)


def random_config(number: int) -> AutoBertConfig:
    """Any network that the vocabulary allows: all layer kinds, widths, skips, formulas, norms."""
    rng = Random(number)
    depth = rng.randint(1, 4)
    kinds = [rng.choice(["full_attention", "conv", "hybrid"]) for _ in range(depth)]
    overrides = {}
    for index, kind in enumerate(kinds):
        layer = {"layer_width": rng.choice([16, 24]), "intermediate_size": rng.choice([8, 40])}
        layer |= {"hidden_act": rng.choice(["gelu", "relu", "relu2", "silu"]), "gated_ffn": rng.random() < 0.3}
        layer["skip"] = [half for half in ("mixer", "feed_forward") if rng.random() < 0.15]
        if kind == "conv":
            layer |= {"conv_type": rng.choice(["lightweight", "separable"]), "conv_softmax": rng.random() < 0.3}
            layer |= {"conv_kernel_size": rng.choice([1, 3, 7, 15]), "conv_num_heads": rng.choice([1, 2, 8])}
        else:
            layer |= {"num_attention_heads": rng.choice([1, 3]), "head_dim": rng.choice([4, 8])}
            layer["attention_formula"] = format_formula(FormulaSampler(min_inputs=1).sample(rng))
            layer["qkv_conv_size"] = 3 if kind == "hybrid" else 0
        overrides[index] = layer
    return AutoBertConfig(
        vocab_size=VOCAB,
        hidden_size=24,
        embedding_size=rng.choice([12, 24]),
        num_hidden_layers=depth,
        layer_types=kinds,
        num_attention_heads=2,
        max_position_embeddings=64,
        type_vocab_size=rng.choice([0, 2]),
        norm_type=rng.choice(["layer_norm", "rms_norm"]),
        norm_position=rng.choice(["post", "pre", "primer"]),
        final_norm=rng.random() < 0.5,
        embedding_norm=rng.random() < 0.7,
        tie_word_embeddings=rng.random() < 0.7,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        per_layer_config=overrides,
    )


@quick
@given(number=st.integers(0, 10**9))
def test_whatever_passes_the_check_builds_and_counts(number):
    config = random_config(number)
    model = AutoBertForMaskedLM(config)
    assert sum(p.numel() for p in model.parameters()) == count_parameters(config, "masked_lm")


@quick
@given(number=st.integers(0, 10**9), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_whatever_passes_the_check_runs_forward_and_backward_finitely(number, dtype):
    torch.manual_seed(number % 1000)
    model = AutoBertForMaskedLM(random_config(number)).to(dtype)
    ids = torch.randint(1, VOCAB, (3, 14))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    mask[2, :] = 0  # nothing but padding
    loss = model(ids, attention_mask=mask, labels=ids).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@quick
@given(number=st.integers(0, 10**9))
def test_right_padding_is_invisible(number):
    torch.manual_seed(number % 1000)
    model = AutoBertModel(random_config(number)).eval().double()
    ids = torch.randint(1, VOCAB, (1, 9))
    with torch.no_grad():
        alone = model(ids).last_hidden_state
        for amount in (1, 6):
            padded = torch.cat([ids, torch.randint(1, VOCAB, (1, amount))], 1)
            mask = (torch.arange(9 + amount) < 9).long()[None]
            seen = model(padded, attention_mask=mask).last_hidden_state[:, :9]
            torch.testing.assert_close(seen, alone, atol=1e-7, rtol=1e-6)


@quick
@given(number=st.integers(0, 10**9))
def test_saving_and_loading_keeps_the_outputs(number, tmp_path_factory):
    torch.manual_seed(number % 1000)
    folder = tmp_path_factory.mktemp("model")
    model = AutoBertForMaskedLM(random_config(number)).eval()
    model.save_pretrained(folder)
    again = AutoModelForMaskedLM.from_pretrained(folder)
    ids = torch.randint(1, VOCAB, (2, 11))
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, model(ids).logits, atol=0, rtol=0)


def test_hidden_states_have_the_widths_of_their_blocks():
    config = AutoBertConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        per_layer_config={1: {"layer_width": 16}, 2: {"layer_width": 16}},
    )
    outputs = AutoBertModel(config)(torch.ones(1, 5, dtype=torch.long), output_hidden_states=True)
    assert [state.shape[-1] for state in outputs.hidden_states] == [32, 32, 16, 32]
    assert outputs.last_hidden_state.shape == (1, 5, 32)


def test_sequence_classification_takes_all_problem_types():
    for labels, count in ((torch.tensor([0.5, 1.5]), 1), (torch.tensor([0, 2]), 3), (torch.rand(2, 3), 3)):
        config = AutoBertConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
        config.num_labels = count
        outputs = AutoBertForSequenceClassification(config)(torch.ones(2, 6, dtype=torch.long), labels=labels)
        assert outputs.loss.isfinite()
        assert outputs.logits.shape == (2, count)


def test_too_long_an_input_says_so():
    config = AutoBertConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    config.max_position_embeddings = 8
    with pytest.raises(ValueError, match="9 tokens, but max_position_embeddings is 8"):
        AutoBertModel(config)(torch.ones(1, 9, dtype=torch.long))


def test_the_attention_library_can_be_changed_in_a_heterogeneous_network():
    config = AutoBertConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        per_layer_config={1: {"head_dim": 4}},
    )
    ids, mask = torch.ones(2, 7, dtype=torch.long), (torch.arange(7) < torch.tensor([[7], [4]])).long()
    model = enlarged(AutoBertModel._from_config(config, attn_implementation="eager"))
    eager = model(ids, attention_mask=mask).last_hidden_state
    model.set_attn_implementation("sdpa")
    assert {layer.mixer.config._attn_implementation for layer in model.encoder.layers} == {"sdpa"}
    sdpa = model(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(sdpa[mask.bool()], eager[mask.bool()], atol=1e-5, rtol=1e-5)
