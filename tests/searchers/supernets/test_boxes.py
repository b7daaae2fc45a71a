"""AutoDistil's supernets: what each takes of the large network, and which one holds an architecture."""

import pytest
import torch

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace, OutsideError
from autobert_hf.searchers.supernets.boxes import JoinedSupernets, box_supernets
from autobert_hf.searchers.supernets.layer_choice import spread_layers


LARGE = AutoBertConfig(
    **{"vocab_size": 30, "hidden_size": 48, "num_hidden_layers": 12, "num_attention_heads": 12, "head_dim": 3},
    **{"intermediate_size": 192, "max_position_embeddings": 16},
    **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
)
SPACE = AutoDistilSpace.of(3, LARGE)


@pytest.fixture(scope="module")
def large() -> AutoBertModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoBertModel(LARGE, add_pooling_layer=False)


def test_layers_are_spread_out():
    """The released code's examples, and whole layers for the whole depth."""
    assert spread_layers(9, 12) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert spread_layers(7, 12) == [0, 1, 3, 5, 6, 8, 10]
    assert spread_layers(4, 7) == [0, 1, 3, 5]
    assert spread_layers(12, 12) == [*range(12)]


def test_a_supernet_begins_with_leading_parts_of_spread_layers(large):
    """Tiny: 7 of 12 layers, 14 of 48 features, 10 of 12 heads, a ratio of 3.5."""
    tiny = box_supernets(SPACE, large)["box-1"].module
    assert (tiny.config.num_hidden_layers, tiny.config.hidden_size, tiny.config.num_attention_heads) == (7, 14, 10)
    for layer, source in zip(tiny.encoder.layers, (0, 1, 3, 5, 6, 8, 10), strict=True):
        theirs = large.encoder.layers[source]
        assert torch.equal(layer.mixer.query.weight, theirs.mixer.query.weight[:30, :14])
        assert torch.equal(layer.mixer.output.dense.weight, theirs.mixer.output.dense.weight[:14, :30])
        assert torch.equal(layer.feed_forward.intermediate.weight, theirs.feed_forward.intermediate.weight[:49, :14])
    words = tiny.get_input_embeddings().weight
    assert torch.equal(words, large.get_input_embeddings().weight[:, :14])
    with torch.no_grad():
        words.add_(1.0)
    assert not torch.equal(words, large.get_input_embeddings().weight[:, :14]), "weights of its own"


def test_sub_networks_take_layers_spread_over_the_depth_of_the_box(large):
    tiny = box_supernets(SPACE, large)["box-1"]
    five = tiny.cut(SPACE.boxes[0].build((5, 8, 2.0, 7)))
    assert [layer.source for layer in five.layers] == [0, 1, 2, 4, 5]
    assert {(layer.num_attention_heads, layer.head_dim) for layer in five.layers} == {(7, 3)}, "whole heads dropped"


def test_an_architecture_is_on_the_supernet_of_its_box(large):
    supernets = box_supernets(SPACE, large)
    joined, ids = JoinedSupernets(SPACE, supernets), torch.tensor([[2, 9, 3]])
    for name, box in zip(supernets, SPACE.boxes, strict=True):
        one = box.smallest()
        assert joined.name_of(one) == name and joined.holding(one) is supernets[name]
        with torch.no_grad():
            found = joined.network(one, training=False)(input_ids=ids).last_hidden_state
            torch.testing.assert_close(found, joined.extract(one)(input_ids=ids).last_hidden_state)
        assert joined.views(one).keys() >= joined.extract(one).state_dict().keys()
    assert len([*joined.module.parameters()]) == sum(len([*s.module.parameters()]) for s in supernets.values())
    outside = Architecture.of(one.layer_dicts, **dict(one.settings) | {"hidden_size": 47})
    with pytest.raises(OutsideError, match="the nearest inside has"):
        joined.network(outside)
