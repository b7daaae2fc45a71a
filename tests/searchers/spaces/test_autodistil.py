"""Boxes of sizes: how many architectures, which published ones are in them, their counts, and what lies outside."""

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autodistil import BASE, SMALL, TINY, AutoDistilSpace, OutsideError, boxes_for_base
from autobert_hf.searchers.spaces.size_box import SizeBox


BERT = AutoBertConfig()
MINI = AutoBertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
# Layers, width, ratio, heads; parameters that the paper reports, and those of the released modules, in millions.
WINNERS = {
    "agnostic": (SMALL, (11, 352, 4.0, 10), 26.8, 31.9, 2.13),
    "proxy-b": (BASE, (12, 544, 3.0, 9), 50.1, 53.6, 4.40),
    "proxy-s": (SMALL, (11, 352, 4.0, 8), 26.1, 29.9, 2.02),
    "proxy-t": (TINY, (7, 160, 3.5, 10), 6.88, 9.1, 0.27),
}


def test_each_published_box_has_256_architectures():
    space = AutoDistilSpace.of(3, BERT)
    assert tuple(space.boxes) == tuple(replace(box, hidden_size=[*box.hidden_size]) for box in (TINY, SMALL, BASE))
    assert [len(set(box.enumerate())) for box in space.boxes] == [256] * 3
    assert space.size == len(set(space.enumerate())) == 768


def test_one_box_has_11232_and_the_released_two_have_384_each():
    (one,) = AutoDistilSpace.of(1, BERT).boxes
    assert len(set(one.enumerate())) == one.size == 11_232
    assert [box.size for box in AutoDistilSpace.of(2, BERT).boxes] == [384, 384]


def test_the_largest_of_four_boxes_is_the_released_one():
    largest = boxes_for_base(4)[-1]
    assert largest == SizeBox(range(10, 13), range(544, 641, 32), (2.5, 3.0, 3.5, 4.0), range(9, 13))
    assert largest.size == 192


@pytest.mark.parametrize("number", range(1, 13))
def test_no_architecture_is_in_two_boxes(number):
    space = AutoDistilSpace.of(number, BERT)
    assert len(space.boxes) == number
    for one, other in combinations(space.boxes, 2):
        assert max(one.hidden_size) < min(other.hidden_size)
    for box in space.boxes:
        assert space.box_of(box.largest()) is box and space.box_of(box.smallest()) is box


@pytest.mark.parametrize("number", [0, 13])
def test_other_numbers_of_boxes_are_refused(number):
    with pytest.raises(ValueError, match=f"boxes is {number}: give 1 to 12"):
        AutoDistilSpace.of(number, BERT)


def of_the_paper(layers: int, width: int, ratio: float, heads: int) -> tuple[float, float]:
    """
    Millions of parameters and billions of multiply-adds by the formula that gives the paper's figures: queries, keys
    and values of heads / 12 of the width, where the released modules have 64 for each head.
    """
    inner, attention = ratio * width, width * heads / 12
    maps = 3 * width * attention + width * width + 2 * width * inner
    biases_and_norms = 3 * attention + inner + 6 * width
    embeddings, pooler = (30522 + 512 + 2 + 2) * width, width * width + width
    parameters = embeddings + layers * (maps + biases_and_norms) + pooler
    return parameters / 1e6, layers * 128 * (maps + 2 * 128 * attention) / 1e9


@pytest.mark.parametrize("name", WINNERS)
def test_published_winners_are_in_their_boxes_and_count_as_reported(name):
    box, sizes, reported, released, flops = WINNERS[name]
    winner = box.build(sizes)
    assert box.contains(winner) and AutoDistilSpace.of(3, BERT).box_of(winner).largest() == box.largest()
    assert round(count_parameters(winner.to_config(BERT), "pooler") / 1e6, 1) == released
    parameters, billions = of_the_paper(*sizes)
    assert parameters == pytest.approx(reported, abs=0.06)
    assert billions == pytest.approx(flops, rel=0.015)


def test_published_ranges_of_parameters():
    """39-79 M, 12-28 M, 4-10 M by the paper's formula; released modules are larger."""
    for box, low, high in [(BASE, 39, 79), (SMALL, 12, 28), (TINY, 4, 10)]:
        ends = [of_the_paper(*box.read(one))[0] for one in (box.smallest(), box.largest())]
        assert ends == pytest.approx([low, high], abs=0.8)
        released = [count_parameters(one.to_config(BERT), "pooler") / 1e6 for one in (box.smallest(), box.largest())]
        assert released[0] > ends[0] and released[1] > ends[1]
    assert of_the_paper(*BASE.read(BASE.largest()))[1] == pytest.approx(7.9, rel=0.02)


def test_boxes_are_in_proportion_to_the_teacher():
    tiny, small, base = AutoDistilSpace.of(3, MINI).boxes
    assert [box.size for box in (tiny, small, base)] == [256] * 3
    assert (tiny.hidden_size, base.hidden_size) == ([64, 80, 96, 112], [272, 288, 304, 320])
    assert [[*box.num_hidden_layers] for box in (tiny, small, base)] == [[1, 2, 3, 4], [3, 4, 5, 6], [3, 4, 5, 6]]
    assert [[*box.num_attention_heads] for box in (tiny, base)] == [[7, 8, 9, 10], [9, 10, 11, 12]]
    assert {box.head_dim for box in (tiny, small, base)} == {32}
    (one,) = AutoDistilSpace.of(1, MINI).boxes
    assert one.contains(tiny.build((3, 96, 2.5, 8))), "a student that lies in both"


def test_a_teacher_with_a_narrow_feed_forward_network_has_boxes_within_it():
    narrow = AutoBertConfig(hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128)
    for number in (1, 3):
        largest = AutoDistilSpace.of(number, narrow).largest()
        assert largest["intermediate_size"] <= 128 and largest["hidden_size"] <= 96


def test_what_lies_outside_is_named_with_the_nearest_inside():
    space, between = AutoDistilSpace.of(3, BERT), SMALL.build((11, 448, 4.0, 10))
    assert not space.contains(between)
    with pytest.raises(OutsideError) as caught:
        space.box_of(between)
    assert str(caught.value) == (
        "The network of 11 layers, width 448, feed-forward width 1792 and 10 heads of 64 is in none of the 3 boxes of "
        "this space; the nearest inside has 11 layers, width 544, feed-forward width 2176 and 10 heads of 64."
    )
    odd = Architecture.of(between.layer_dicts, **dict(SMALL.largest().settings) | {"intermediate_size": 1409})
    with pytest.raises(OutsideError, match="nearest inside has 11 layers, width 352, feed-forward width 1408"):
        space.box_of(odd)
    with pytest.raises(OutsideError, match="no layers with sizes"):
        space.box_of(Architecture.of([{"layer_type": "conv", "conv_kernel_size": 3}]))


def test_children_of_two_boxes_are_in_one_of_them():
    space = AutoDistilSpace.of(3, BERT)
    for seed in range(30):
        child = space.crossover(TINY.largest(), BASE.smallest(), Random(seed))
        assert space.contains(child)
