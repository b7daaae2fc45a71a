"""torch.export with free batch and length, torch.compile without a graph break, low precision, attention outputs."""

import pytest
import torch

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel


ZERO = AutoBertConfig.from_zoo("autobert-zero-base")
PUBLISHED = sorted({layer.attention_formula for kind, layer in ZERO.layers() if kind == "full_attention"})
SIZES = {"vocab_size": 50, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 32}
SIZES |= {"max_position_embeddings": 64, "num_hidden_layers": 3}
SIZES |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def network(formula: str, attention: str = "sdpa") -> torch.nn.Module:
    config = AutoBertConfig(
        **SIZES,
        layer_types=["conv", "full_attention", "hybrid"],
        per_layer_config={0: {"conv_kernel_size": 15}, 1: {"attention_formula": formula}, 2: {"qkv_conv_size": 3}},
    )
    torch.manual_seed(0)
    model = AutoBertModel._from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def inputs(batch: int, length: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(1, 50, (batch, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[0, length - 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.skipif(torch.__version__ < "2.11", reason="transformers exports from torch 2.11 on")
@pytest.mark.parametrize("formula", ["softmax(q @ k.T / sqrt(d)) @ v", *PUBLISHED, "q @ (softplus(k).T @ v)"])
def test_exported_with_free_batch_and_length(formula):
    model = network(formula)
    free = {0: torch.export.Dim("batch", min=2, max=64), 1: torch.export.Dim("tokens", min=4, max=64)}
    shapes = {"input_ids": free, "attention_mask": free}
    with torch.no_grad():
        program = torch.export.export(model, (), inputs(2, 9), dynamic_shapes=shapes, strict=False)
        for size in ((2, 9), (5, 31)):
            there = program.module()(**inputs(*size)).last_hidden_state
            torch.testing.assert_close(there, model(**inputs(*size)).last_hidden_state, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(torch.__version__ < "2.11", reason="transformers compiles whole from torch 2.11 on")
@pytest.mark.parametrize("formula", PUBLISHED)
def test_compiled_without_a_graph_break(formula):
    torch.compiler.reset()
    model = network(formula)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        expected = model(**inputs(2, 9)).last_hidden_state
        torch.testing.assert_close(compiled(**inputs(2, 9)).last_hidden_state, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("formula", [*PUBLISHED, "cosine(q, k) @ v"])
def test_eager_and_sdpa_agree(formula):
    given = inputs(3, 12)
    with torch.no_grad():
        eager, sdpa = (network(formula, kind)(**given).last_hidden_state for kind in ("eager", "sdpa"))
    real = given["attention_mask"].bool()
    torch.testing.assert_close(eager[real], sdpa[real], atol=1e-5, rtol=1e-5)


def test_attentions_are_what_stands_at_the_softmax(caplog):
    model = network("softmax(q @ k.T / sqrt(d)) @ v", "eager")
    attentions = model(**inputs(2, 9), output_attentions=True).attentions
    assert [weights.shape for weights in attentions] == [(2, 2, 9, 9)] * 2  # the convolution adds none
    torch.testing.assert_close(attentions[0].sum(-1), torch.ones(2, 2, 9))
    assert attentions[0][0, :, :, 7:].abs().max() == 0  # padding
    model = network("q @ (softplus(k).T @ v)", "eager")
    assert len(model(**inputs(2, 9), output_attentions=True).attentions) == 1


def test_tuples_checkpointing_and_embeddings_as_inputs():
    model = network(PUBLISHED[0])
    given = inputs(2, 9)
    outputs = model(**given)
    assert torch.equal(model(**given, return_dict=False)[0], outputs.last_hidden_state)
    embedded = model.get_input_embeddings()(given["input_ids"])
    from_embeddings = model(inputs_embeds=embedded, attention_mask=given["attention_mask"])
    torch.testing.assert_close(from_embeddings.last_hidden_state, outputs.last_hidden_state)
    gradients = []
    for checkpointed in (False, True):
        if checkpointed:
            model.activation_checkpointing_enable()
        model.train()
        model.zero_grad()
        model(**given).last_hidden_state.square().sum().backward()
        gradients.append([p.grad.clone() for p in model.encoder.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close(dtype):
    model = network(PUBLISHED[0])
    given = inputs(2, 9)
    with torch.no_grad():
        full = model(**given).last_hidden_state
        half = model.to(dtype)(**given).last_hidden_state
    assert half.dtype == dtype
    assert (half.float() - full).abs().mean() < 0.05 * full.abs().mean()


def test_tied_weights_stay_tied_when_the_vocabulary_grows(tmp_path):
    model = AutoBertForMaskedLM(AutoBertConfig(**SIZES))
    model.resize_token_embeddings(57)
    assert model.predictions.decoder.weight is model.autobert.embeddings.word_embeddings.weight
    assert model(torch.tensor([[56, 3]])).logits.shape == (1, 2, 57)
    model.save_pretrained(tmp_path)
    again = AutoBertForMaskedLM.from_pretrained(tmp_path)
    assert again.predictions.decoder.weight is again.autobert.embeddings.word_embeddings.weight
