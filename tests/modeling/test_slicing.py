"""Cuts: which rows and columns go, what is refused, configurations there and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.modeling.convert import from_bert, to_bert
from autobert_hf.modeling.slicing import Cut, LayerCut, SlicingError, slice_state
from autobert_hf.modeling.subnetwork import Sliceable

from .slicing_cases import IDS, MASK, SIZES, cuts, enlarged, large_configs


def large(**changes: object) -> Cut:
    return Cut.of(AutoBertConfig(**(SIZES | changes)))


def one_layer(**sizes: int) -> Cut:
    layer = {"source": 0, "num_attention_heads": 3, "head_dim": 4, "intermediate_size": 20} | sizes
    return Cut(12, 12, (LayerCut(**layer),))


def indices(name: str, shape: tuple[int, ...], small: Cut) -> torch.Tensor:
    """Row-major positions that `small` takes of one weight of the first layer."""
    full = f"encoder.layers.0.{name}"
    return slice_state({full: torch.arange(torch.Size(shape).numel()).view(shape)}, large(), small)[full]


@pytest.mark.parametrize(
    ("small", "rows"),
    [
        (one_layer(num_attention_heads=2), [0, 1, 2, 3, 4, 5, 6, 7]),
        (one_layer(head_dim=2), [0, 1, 4, 5, 8, 9]),
        (one_layer(num_attention_heads=2, head_dim=3), [0, 1, 2, 4, 5, 6]),
        (one_layer(), list(range(12))),
    ],
    ids=["whole heads", "the same part of every head", "both", "all"],
)
def test_the_same_rows_of_q_k_v_and_columns_of_the_output(small, rows):
    for name in ("query", "key", "value", "extra"):
        assert indices(f"mixer.{name}.bias", (12,), small).tolist() == rows
        assert indices(f"mixer.{name}.weight", (12, 12), small)[:, 0].tolist() == [12 * row for row in rows]
    assert indices("mixer.output.dense.weight", (12, 12), small)[0].tolist() == rows
    assert indices("mixer.output.dense.bias", (12,), small).tolist() == list(range(12))


def test_all_else_gives_its_first_rows_and_columns():
    small = Cut(8, 8, (LayerCut(0, 3, 4, 5),))
    square = torch.arange(20 * 12).view(20, 12)
    assert torch.equal(indices("feed_forward.intermediate.weight", (20, 12), small), square[:5, :8])
    assert torch.equal(indices("feed_forward.output.dense.weight", (12, 20), small), square.view(12, 20)[:8, :5])
    assert indices("mixer_norm.weight", (12,), small).tolist() == list(range(8))
    words = torch.arange(30 * 12).view(30, 12)
    assert torch.equal(
        slice_state({"embeddings.word_embeddings.weight": words}, large(), small)["embeddings.word_embeddings.weight"],
        words[:, :8],
    )


def test_whole_heads_are_views_and_tied_weights_stay_one():
    model = AutoBertForMaskedLM(AutoBertConfig(**SIZES))
    network = Sliceable(model)
    small = Cut(8, 8, (LayerCut(0, 2, 4, 10), LayerCut(2, 3, 4, 8)))
    weights = slice_state(network.state(), network.cut, small)
    owners = {p.data_ptr() for p in [*model.parameters(), *model.buffers()]}
    assert {value.data_ptr() for value in weights.values()} <= owners
    assert weights["predictions.decoder.weight"] is weights["autobert.embeddings.word_embeddings.weight"]
    second = "autobert.encoder.layers.1.feed_forward.intermediate.weight"
    assert weights[second].data_ptr() == dict(model.named_parameters())[second.replace(".1.", ".2.")].data_ptr()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_configuration_tells_its_cut(data):
    config = data.draw(large_configs())
    cut = data.draw(cuts(Cut.of(config)))
    small = cut.to_config(config)
    assert Cut.of(small, [layer.source for layer in cut.layers]) == cut
    assert small.norm_position == config.norm_position
    assert Cut.of(config).to_config(config) == config


def test_a_cut_with_equal_layers_has_no_overrides():
    layers = tuple(LayerCut(source, 2, 4, 10) for source in (0, 2))
    small = Cut(8, 8, layers).to_config(AutoBertConfig(**SIZES))
    assert not small.is_heterogeneous
    assert (small.hidden_size, small.layer_width, small.embedding_size, small.head_dim) == (8, 8, 8, 4)


@pytest.mark.parametrize("head", [BertModel, BertForMaskedLM])
def test_a_subset_of_bert_layers_is_bert_without_the_others(head):
    bert = enlarged(head(BertConfig(**(SIZES | {"num_hidden_layers": 6}))))
    ours = Sliceable(from_bert(bert))
    kept = [0, 2, 3, 5]
    small = Cut.of(AutoBertConfig(**(SIZES | {"num_hidden_layers": 4})), kept)
    layers = bert.base_model.encoder.layer
    bert.base_model.encoder.layer = torch.nn.ModuleList(layers[index] for index in kept)
    with torch.no_grad():
        expected = bert(IDS, attention_mask=MASK)[0]
        extracted = ours.extract(small)
        for model in (ours.part(small), extracted, to_bert(extracted)):
            torch.testing.assert_close(model(input_ids=IDS, attention_mask=MASK)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("small", "sentence"),
    [
        (Cut(16, 16, (LayerCut(0, 3, 4, 20),)), "hidden_size is 16, but the large network has only 12"),
        (one_layer(num_attention_heads=4), "layer 0: num_attention_heads is 4, but the large network has only 3"),
        (one_layer(head_dim=5), "layer 0: head_dim is 5"),
        (one_layer(source=1, intermediate_size=21), "layer 1: intermediate_size is 21"),
        (one_layer(source=3), r"\[3\] are not ascending numbers of the 3 layers"),
        (Cut(12, 12, (LayerCut(1, 3, 4, 20), LayerCut(0, 3, 4, 20))), r"\[1, 0\] are not ascending numbers"),
        (Cut(12, 12, (LayerCut(1, 3, 4, 20),) * 2), r"\[1, 1\] are not ascending numbers"),
        (Cut(12, 8, (LayerCut(1, 3, 4, 20),)), "A map from the embeddings to the first layer"),
    ],
)
def test_what_is_no_part_is_refused(small, sentence):
    with pytest.raises(SlicingError, match=sentence):
        small.check(large())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer_types": ["full_attention", "conv", "full_attention"]}, "Layer 1 is 'conv' of width 12"),
        ({"per_layer_config": {2: {"layer_width": 8}}}, "Layer 2 is 'full_attention' of width 8"),
    ],
)
def test_what_has_no_order_to_cut_by_is_refused(changes, sentence):
    with pytest.raises(SlicingError, match=sentence):
        large(**changes)
