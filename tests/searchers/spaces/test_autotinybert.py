"""The AutoTinyBERT space: the paper's sizes and moves, closed under everything, the same thing as JSON and config."""

import json
from collections import Counter
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.convert import stock_refusal
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces import SPACES
from autobert_hf.searchers.spaces.autotinybert import MOVES, AutoTinyBertSpace


BASE = AutoBertConfig(
    vocab_size=60,
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=96,
    layer_norm_eps=1e-5,
)
STEPS = {"width_step": 8, "inner_step": 16}
KINDS = {
    "whole heads": AutoTinyBertSpace.within(BASE, **STEPS),
    "part of every head": AutoTinyBertSpace.within(BASE, part_of_heads=True, **STEPS),
    "layers differ": AutoTinyBertSpace.within(BASE, identical=False, **STEPS),
}
SEEDS = st.integers(0, 2**32)
of_all_kinds = pytest.mark.parametrize("space", KINDS.values(), ids=KINDS)


def sizes(architecture: Architecture) -> dict[str, int]:
    return {"num_hidden_layers": len(architecture.layers)} | dict(architecture.settings)


def test_the_sizes_of_the_paper():
    pre_training = AutoTinyBertSpace()
    distillation = AutoTinyBertSpace(num_attention_heads=range(12, 13), head_dim=range(15, 65))
    assert pre_training.size == 11_391_072
    assert distillation.size == 47_462_800
    published = AutoTinyBertSpace(intermediate_size=range(128, 3073, 2))  # the released S1 lies between steps of 4
    for depth, width, inner, heads in [(5, 564, 1054, 8), (4, 396, 624, 6), (4, 432, 384, 4), (3, 320, 608, 4)]:
        found = {"hidden_size": width, "intermediate_size": inner, "num_attention_heads": heads, "head_dim": 64}
        assert published.contains(Architecture.of([{"layer_type": "full_attention"}] * depth, **found))
    assert [sizes(a)["head_dim"] for a in islice(distillation.enumerate(), 3)] == [15, 16, 17]


def test_default_bounds_follow_the_largest_network():
    whole, part = KINDS["whole heads"], KINDS["part of every head"]
    assert [*whole.hidden_size] == [8, 16, 24, 32, 40, 48]
    assert [*whole.intermediate_size] == [16, 32, 48, 64, 80, 96]
    assert ([*whole.num_attention_heads], [*whole.head_dim]) == ([1, 2, 3, 4], [12])
    assert ([*part.num_attention_heads], [*part.head_dim]) == ([4], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    assert whole.largest().to_config(BASE) == BASE
    minilm = AutoTinyBertSpace.within(
        AutoBertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    )
    assert (minilm.hidden_size, minilm.intermediate_size) == (range(64, 385, 16), range(64, 1537, 32))


def test_all_architectures_are_enumerated_once():
    for identical, size in ((True, 2 * (4 + 4)), (False, 2 * (4 + 16))):
        space = AutoTinyBertSpace(range(1, 3), (8, 12), (5, 9), range(1, 3), (4,), identical)
        found = [*space.enumerate()]
        assert len(found) == len(set(found)) == space.size == size
        assert all(map(space.contains, found))


@of_all_kinds
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_closed_under_everything(space, seed):
    rng = Random(seed)
    one, other = space.sample(rng), space.sample(rng)
    mixed = space.crossover(one, other, rng)
    assert space.contains(one) and space.contains(mixed)
    assert set(space.genes(mixed)) <= set(space.genes(one)) | set(space.genes(other))
    for _ in range(5):
        child = space.mutate(one, rng)
        assert space.contains(child) and child != one
        one = child


@of_all_kinds
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_there_and_back_as_json_and_as_config(space, seed):
    architecture = space.sample(Random(seed))
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture
    config = architecture.to_config(BASE)
    assert space.from_config(config) == architecture
    assert config.layer_width == config.embedding_size == config.hidden_size
    assert config.layer_norm_eps == BASE.layer_norm_eps


def test_a_factorized_embedding_keeps_its_width():
    base = AutoBertConfig.from_dict(BASE.to_dict() | {"embedding_size": 20})
    assert KINDS["whole heads"].sample(Random(0)).to_config(base).embedding_size == 20


def test_variables_are_drawn_uniformly_and_by_themselves():
    rng, space = Random(0), AutoTinyBertSpace(range(1, 3), (8, 16, 24), (5, 9), range(1, 3), (4,))
    drawn = Counter(space.sample(rng) for _ in range(4800))
    assert len(drawn) == space.size == 24
    assert all(130 < count < 280 for count in drawn.values())  # 200 expected, standard deviation 14


def test_mutation_moves_the_paper_s_steps_with_its_probabilities():
    rng, space = Random(0), AutoTinyBertSpace(range(1, 99), range(1, 99), range(1, 99), range(1, 99), range(1, 99))
    middle = Architecture.of([{"layer_type": "full_attention"}] * 50, **dict.fromkeys([*MOVES][1:], 50))
    moves = {name: Counter() for name in MOVES}
    for _ in range(3000):
        for name, size in sizes(space.mutate(middle, rng)).items():
            moves[name][size - 50] += 1
    unchanged = (1 - 0.25 * 2 / 3) * (1 - 0.5 * 2 / 3) * (1 - 0.5 * 4 / 5) * (1 - 0.25 * 4 / 5) ** 2
    for name, (probability, reach) in MOVES.items():
        assert set(moves[name]) == set(range(-reach, reach + 1))
        expected = 3000 * probability / (2 * reach + 1) / (1 - unchanged)
        assert all(0.75 * expected < moves[name][step] < 1.25 * expected for step in moves[name] if step)


def test_a_strategy_can_draw_the_moves_itself():
    space = KINDS["part of every head"]
    asked = []

    def largest(position, choices, rng):
        asked.append(position)
        return max(choices)

    architecture = Architecture.of([{"layer_type": "full_attention"}] * 2, **dict(space.largest().settings))
    architecture = space.mutate(architecture, Random(1), largest)
    assert len(architecture.layers) == 3
    assert set(asked) <= set(MOVES)


@pytest.mark.parametrize(
    "wrong",
    [
        Architecture.of(
            [{"layer_type": "conv"}], hidden_size=48, intermediate_size=96, num_attention_heads=4, head_dim=12
        ),
        Architecture.of([{"layer_type": "full_attention"}] * 4, **dict(KINDS["whole heads"].largest().settings)),
        Architecture.of(
            [{"layer_type": "full_attention"}], **dict(KINDS["whole heads"].largest().settings, hidden_size=9)
        ),
        Architecture.of([{"layer_type": "full_attention"}]),
        Architecture.of([{"layer_type": "full_attention"}], **dict(KINDS["whole heads"].largest().settings), extra=1),
    ],
)
def test_strangers_are_no_members(wrong):
    assert not any(space.contains(wrong) for space in KINDS.values())


@pytest.mark.parametrize("grid", [range(0), (0, 4), (8, 4), (4, 4)])
def test_bad_grids_are_refused_by_name(grid):
    with pytest.raises(ValueError, match="hidden_size is .*: give rising sizes"):
        AutoTinyBertSpace(hidden_size=grid)


def test_full_width_attention_is_stock():
    layers = [{"layer_type": "full_attention"}] * 2
    stock = Architecture.of(layers, hidden_size=24, intermediate_size=32, num_attention_heads=2, head_dim=12)
    assert KINDS["whole heads"].contains(stock)
    assert stock_refusal(stock.to_config(BASE)) is None


def test_it_is_listed():
    assert SPACES["autotinybert"] is AutoTinyBertSpace
