"""A part of a network computes, and trains, as the model that is taken out of it."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.modeling.convert import HEADS
from autobert_hf.modeling.slicing import Cut, LayerCut, slice_state
from autobert_hf.modeling.subnetwork import Sliceable

from .slicing_cases import IDS, MASK, SIZES, cuts, enlarged, large_configs


LABELS = IDS.masked_fill(torch.arange(9) % 3 > 0, -100)
BATCH: dict[str, Any] = {"input_ids": IDS, "attention_mask": MASK, "labels": LABELS}
SMALL = Cut(8, 8, (LayerCut(0, 2, 3, 10), LayerCut(2, 3, 2, 7)))


def network(config: AutoBertConfig | None = None) -> Sliceable:
    return Sliceable(enlarged(AutoBertForMaskedLM(config or AutoBertConfig(**SIZES))))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_part_and_extracted_model_agree_in_value_and_gradient(data):
    config = data.draw(large_configs())
    whole = network(config)
    cut = data.draw(cuts(whole.cut))
    extracted = whole.extract(cut)
    inside, outside = whole.part(cut)(**BATCH), extracted(**BATCH)
    torch.testing.assert_close(inside.logits, outside.logits, atol=1e-6, rtol=1e-6)
    (inside.loss + inside.logits.square().mean()).backward()
    (outside.loss + outside.logits.square().mean()).backward()
    parameters = dict(whole.model.named_parameters())
    places = slice_state({name: torch.arange(p.numel()).view_as(p) for name, p in parameters.items()}, whole.cut, cut)
    expected = {name: torch.zeros(p.numel()) for name, p in parameters.items()}
    kept = {index: layer.source for index, layer in enumerate(cut.layers)}
    for name, parameter in extracted.named_parameters():
        expected[large_name(name, kept)][places[name].flatten()] = parameter.grad.flatten()
    for name, parameter in parameters.items():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient.flatten(), expected[name], atol=1e-6, rtol=1e-5)


def large_name(name: str, kept: dict[int, int]) -> str:
    before, inside, rest = name.partition("encoder.layers.")
    number, _, rest = rest.partition(".")
    moves = inside and not rest.startswith("resize.")  # the map from the embeddings stays at the bottom
    return f"{before}{inside}{kept[int(number)]}.{rest}" if moves else name


@settings(max_examples=8, deadline=None)
@given(config=large_configs())
def test_the_largest_cut_is_the_network_itself(config):
    whole = network(config)
    part = whole.part(whole.cut)
    state = whole.state()
    assert set(part.weights) == set(state)
    assert all(part.weights[name].data_ptr() == state[name].data_ptr() for name in state)
    torch.testing.assert_close(part(**BATCH).logits, whole.model(**BATCH).logits, atol=0, rtol=0)


@pytest.mark.parametrize("head", HEADS.values())
def test_every_head_can_be_cut(head):
    whole = Sliceable(enlarged(head(AutoBertConfig(**SIZES))))
    ids = IDS[None] if "MultipleChoice" in head.__name__ else IDS
    with torch.no_grad():
        inside, outside = whole.part(SMALL)(input_ids=ids), whole.extract(SMALL)(input_ids=ids)
    assert inside.keys() == outside.keys()
    for name in inside:
        torch.testing.assert_close(inside[name], outside[name], atol=1e-6, rtol=1e-6)


def test_parts_of_equal_depth_do_not_disturb_each_other():
    whole = network()
    other = Cut(12, 12, (LayerCut(0, 3, 4, 20), LayerCut(2, 1, 4, 3)))
    parts = {cut: whole.part(cut) for cut in (SMALL, other)}
    assert len(whole.skeletons) == 1
    for cut in (SMALL, other, SMALL):
        torch.testing.assert_close(
            parts[cut](**BATCH).logits, whole.extract(cut)(**BATCH).logits, atol=1e-6, rtol=1e-6
        )


def test_a_skeleton_has_no_memory_of_its_own():
    whole = network()
    cut = Cut(8, 8, (LayerCut(0, 2, 4, 10), LayerCut(2, 1, 4, 7)))
    whole.part(cut)
    (skeleton,) = whole.skeletons.values()
    assert {tensor.device.type for tensor in skeleton.model.parameters()} == {"meta"}
    whole.part(cut)(**BATCH)
    owners = {tensor.data_ptr() for tensor in whole.state().values()}
    assert {place[key].data_ptr() for place, key, _ in skeleton.places} <= owners


def test_a_part_follows_the_large_network():
    whole = network()
    part = whole.part(SMALL)
    whole.model.config.sparse_prediction = True
    assert part(**BATCH).logits.shape == (int((LABELS != -100).sum()), 30)
    whole.model.config.sparse_prediction = False
    whole.model.set_attn_implementation("eager")
    attentions = part(**BATCH, output_attentions=True, output_hidden_states=True)
    assert [a.shape for a in attentions.attentions] == [(2, 2, 9, 9), (2, 3, 9, 9)]
    assert [h.shape for h in attentions.hidden_states] == [(2, 9, 8)] * 3
    with torch.no_grad():
        for parameter in whole.model.parameters():
            parameter.mul_(0.5)
    part = whole.part(SMALL)  # its heads are narrowed, hence copies
    torch.testing.assert_close(part(**BATCH).logits, whole.extract(SMALL)(**BATCH).logits)


def test_each_part_drops_or_not_as_it_was_asked_for():
    """Whatever mode the large network is in, and whoever used the shared skeleton before."""
    whole = network(AutoBertConfig(**(SIZES | {"hidden_dropout_prob": 0.5})))
    learning, judged = whole.part(SMALL, training=True), whole.part(SMALL)
    expected = whole.extract(SMALL)(**BATCH).logits
    for mode in (True, False):
        whole.model.train(mode)
        assert not torch.equal(learning(**BATCH).logits, learning(**BATCH).logits)
        torch.testing.assert_close(judged(**BATCH).logits, expected)
        assert whole.model.training is mode
    assert len(whole.skeletons) == 1


def test_a_network_without_mixing_is_a_part_of_its_kind():
    config = AutoBertConfig(**SIZES, per_layer_config={i: {"skip": ["mixer"]} for i in range(3)})
    whole = network(config)
    extracted = whole.extract(SMALL)
    assert all(layer.skip == ["mixer"] for _, layer in extracted.config.layers())
    torch.testing.assert_close(whole.part(SMALL)(**BATCH).logits, extracted(**BATCH).logits, atol=1e-6, rtol=1e-6)
    changed = IDS.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 30
    same = extracted(input_ids=IDS).logits[:, 1:] - extracted(input_ids=changed).logits[:, 1:]
    assert same.abs().max() == 0
