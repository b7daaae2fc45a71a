"""Token uniformity on vectors whose answer is known, and the same whatever padding stands around."""

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.searchers.analysis.token_uniformity import token_uniformity, uniformity


def test_equal_tokens_have_no_residual() -> None:
    found = uniformity(torch.tensor([[1.0, -2.0, 3.0]]).expand(4, 3))
    assert found.residual == pytest.approx(0, abs=1e-6)
    assert found.cosine == pytest.approx(1)


def test_opposite_tokens_are_all_residual() -> None:
    found = uniformity(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
    assert (found.residual, found.cosine) == pytest.approx((1.0, -1.0))


def test_by_hand() -> None:
    """Mean (1, 0.5): residual rows (1, -.5) and (-1, .5), sums 1.5 by row, 2 by column; x itself has 2 and 2."""
    found = uniformity(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    assert found.residual == pytest.approx((1.5 * 2 / (2 * 2)) ** 0.5)
    assert found.cosine == pytest.approx(0, abs=1e-6)


@pytest.fixture(params=[AutoBertModel, BertModel])
def model(request: pytest.FixtureRequest, config: AutoBertConfig) -> torch.nn.Module:
    torch.manual_seed(0)
    bert = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    return request.param(config if request.param is AutoBertModel else bert)


def test_padding_counts_in_no_layer(model: torch.nn.Module, tokenizer: BertTokenizer) -> None:
    texts = [("w1 w2 w3",), ("w9 w8 w7 w6 w5 w4 w3 w2 w1",), ("w4",)]
    together = token_uniformity(model, tokenizer, texts)
    alone = [token_uniformity(model, tokenizer, [text]) for text in texts]
    assert len(together) == model.config.num_hidden_layers + 1
    for number, layer in enumerate(together):
        for name in ("residual", "cosine"):
            values = [getattr(layers[number], name) for layers in alone]
            assert getattr(layer, name) == pytest.approx(sum(values) / 3, rel=1e-4)
            assert max(values) - min(values) > 1e-3


def test_a_pair_is_one_text_of_two_sentences(model: torch.nn.Module, tokenizer: BertTokenizer) -> None:
    pairs = [("w1 w2 w3", "w9 w8"), ("w5", "w6 w7 w8 w9")]
    inputs = tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt")
    masks = inputs["attention_mask"].bool()
    with torch.inference_mode():
        last = model.eval()(**inputs).last_hidden_state.double()
    expected = [uniformity(state[mask]).cosine for state, mask in zip(last, masks, strict=True)]
    assert token_uniformity(model, tokenizer, pairs)[-1].cosine == pytest.approx(sum(expected) / 2, rel=1e-4)
    assert masks.sum(1).tolist() == [8, 8], "with three special tokens each"


def test_nothing_to_compare_is_an_error(model: torch.nn.Module, tokenizer: BertTokenizer) -> None:
    with pytest.raises(ValueError, match="None of the texts has two tokens"):
        token_uniformity(model, tokenizer, [])
