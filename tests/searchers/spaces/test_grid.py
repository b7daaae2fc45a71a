"""A space of a user's own."""

import json
from collections import Counter
from random import Random

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.testing import check_space


SPACE = GridSpace(layers=[2, 4, 6], act=["gelu", "relu", None], rate=(0.1, 0.2), bias=[True, False], one=[1])


def test_it_keeps_what_every_space_keeps():
    space = GridSpace(num_hidden_layers=[1, 2, 4], hidden_size=[24, 48], intermediate_size=range(16, 65, 16))
    check_space(space, AutoBertConfig(vocab_size=50, num_attention_heads=2, max_position_embeddings=16))


def test_size_list_and_corners():
    listed = [*SPACE.enumerate()]
    assert len(listed) == len(set(listed)) == SPACE.size == 3 * 3 * 2 * 2
    assert all(SPACE.contains(one) for one in listed)
    assert dict(SPACE.smallest()) == {"layers": 2, "act": "gelu", "rate": 0.1, "bias": False, "one": 1}
    assert dict(SPACE.largest()) == {"layers": 6, "act": None, "rate": 0.2, "bias": True, "one": 1}


def test_every_architecture_is_drawn_equally_often():
    rng = Random(0)
    counts = Counter(SPACE.sample(rng) for _ in range(3600))
    assert len(counts) == SPACE.size and max(counts.values()) < 2 * min(counts.values())


def test_a_mutation_changes_one_value_and_a_crossover_mixes():
    rng = Random(0)
    for _ in range(50):
        one, other = SPACE.sample(rng), SPACE.sample(rng)
        child = SPACE.mutate(one, rng)
        assert sum(child[name] != one[name] for name in one) == 1
        mixed = SPACE.crossover(one, other, rng)
        assert all(mixed[name] in (one[name], other[name]) for name in mixed)
    alone = GridSpace(layers=[2])
    assert alone.mutate(alone.smallest(), rng) == alone.smallest()


def test_what_is_not_in_it():
    inside = dict(SPACE.smallest())
    assert SPACE.contains(Architecture.of([], **inside))
    for other in (inside | {"layers": 3}, inside | {"more": 1}, {"layers": 2}):
        assert not SPACE.contains(Architecture.of([], **other))
    assert not SPACE.contains(Architecture.of([{"layer_type": "conv"}], **inside))


def test_any_name_survives_the_journal():
    """Also those that Python uses itself."""
    space = GridSpace(self=[1, 2], cls=[3, 4], layers=[5, 6], settings=[None, "x"])
    for one in space.enumerate():
        assert Architecture.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({}, "GridSpace has no names"),
        ({"layers": []}, "layers has no choices: give at least one"),
        ({"layers": 4}, r"layers is 4: give a list of choices, such as layers=\[4\]"),
        ({"act": "gelu"}, r"act is 'gelu': give a list of choices, such as act=\['gelu'\]"),
        ({"layers": [2, 4, 2]}, "layers holds 2 twice: give every choice once"),
        ({"bias": [True, 1]}, "bias holds true twice"),
        ({"size": [(1, 2)]}, r"size holds \(1, 2\): choices are finite numbers, texts, True, False or None"),
        ({"rate": [float("nan")]}, "rate holds nan: choices are finite"),
    ],
)
def test_choices_that_cannot_be(choices, sentence):
    with pytest.raises(ValueError, match=sentence):
        GridSpace(**choices)


def test_an_architecture_is_read_by_name():
    one = SPACE.smallest()
    assert one["layers"] == 2 and "layers" in one and "depth" not in one
    assert dict(one) == {**one} == {name: one[name] for name in one}
    with pytest.raises(KeyError, match="'depth' is no setting of this architecture; it has act, bias, layers"):
        _ = one["depth"]


def test_a_network_keeps_what_the_architecture_leaves_open():
    base = AutoBertConfig(
        vocab_size=50,
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        layer_types=["full_attention", "conv"],
        per_layer_config={1: {"conv_kernel_size": 9, "intermediate_size": 16}},
    )
    same = Architecture.of([], hidden_act="relu").to_config(base)
    assert (same.layer_types, same.per_layer_config[1].conv_kernel_size) == (["full_attention", "conv"], 9)
    assert same.hidden_act == "relu" and count_parameters(same) == count_parameters(base)
    deeper = Architecture.of([], num_hidden_layers=3, intermediate_size=32, hidden_size=48).to_config(base)
    assert deeper.layer_types == ["full_attention", "conv", "conv"]
    layers = [layer for _, layer in deeper.layers()]
    assert [layer.intermediate_size for layer in layers] == [32] * 3
    assert (layers[2].conv_kernel_size, deeper.head_dim, deeper.hidden_size) == (9, 24, 48)
