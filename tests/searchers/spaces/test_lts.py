"""The space of LiteTransformerSearch: what is legal, and how children are made."""

from random import Random

import pytest

from autobert_hf.searchers.spaces.lts import LEAST_RATIO, RANGES, LtsSpace


SPACE = LtsSpace(range(1, 5), (64, 128, 256), range(128, 513, 32), (2, 4))


def sizes(architecture):
    return dict(architecture.settings)["hidden_size"], [
        layer["intermediate_size"] for layer in architecture.layer_dicts
    ]


@pytest.mark.parametrize("space", RANGES.values(), ids=RANGES)
def test_the_named_ranges_hold_their_corners(space):
    assert space.contains(space.smallest())
    assert space.contains(space.largest())


def test_the_published_range_is_that_of_the_released_search():
    space = RANGES["gpt2"]
    assert (min(space.num_hidden_layers), max(space.num_hidden_layers)) == (2, 15)
    assert space.hidden_size == range(128, 961, 64)
    assert space.intermediate_size == range(128, 4033, 64)
    assert tuple(space.num_attention_heads) == (2, 4, 8)


def test_a_width_without_a_legal_feed_forward_width_is_refused():
    with pytest.raises(
        ValueError, match=r"hidden_size 256 has no legal intermediate_size: .*435.2.* the largest is 400"
    ):
        LtsSpace(range(1, 3), (64, 256), (128, 400))


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="hidden_size 100 cannot be shared out to 8 heads: give multiples of 8"):
        LtsSpace(range(1, 3), (100,), (400,))


def test_the_standard_width_is_in_the_middle_with_four_times_as_much_inside():
    assert RANGES["laptop"].standard_width == 160
    assert RANGES["gpt2"].standard_width == 512
    assert LtsSpace((1,), (16, 32, 64), (120, 128), (2,)).standard_width == 32
    assert LtsSpace((1,), (16, 64), (112, 120), (2,)).standard_width == 16  # of neither is four times on the grid


def test_size_counts_what_enumerate_lists():
    small = LtsSpace((1, 2), (8, 24), (16, 32, 48), (2, 4))
    listed = [*small.enumerate()]
    assert len(listed) == len(set(listed)) == small.size == 6 + 36 + 2 + 4


def test_children_keep_the_rule_where_the_width_changes():
    """The narrow parent's feed-forward layers are too small for the wide one's width."""
    narrow, wide = SPACE.build(64, [(128, 2)] * 4), SPACE.build(256, [(512, 2)] * 2)
    widths = set()
    for seed in range(200):
        for child in (SPACE.crossover(narrow, wide, Random(seed)), SPACE.mutate(narrow, Random(seed))):
            width, inner = sizes(child)
            assert min(inner) >= LEAST_RATIO * width
            widths.add((len(inner), width))
    assert {(4, 256), (2, 64)} <= widths


def test_a_mutation_draws_three_genes_of_ten_again():
    parent, changed, genes = SPACE.build(64, [(256, 2)] * 4), 0, 0
    for seed in range(500):
        found = dict(SPACE.genes(SPACE.mutate(parent, Random(seed))))
        for index in range(len([gene for gene in found if gene[0] == "intermediate_size"])):
            if dict(SPACE.genes(parent))[("num_attention_heads", index)] != found[("num_attention_heads", index)]:
                changed += 1
            genes += 1
    assert changed / genes == pytest.approx(0.3 / 2, abs=0.03)  # half of the draws are the number that was there


def test_a_crossover_takes_half_of_the_genes_from_either_parent():
    one, other = SPACE.build(64, [(256, 2)] * 4), SPACE.build(64, [(512, 4)] * 4)
    taken = [inner for seed in range(200) for inner in sizes(SPACE.crossover(one, other, Random(seed)))[1]]
    assert set(taken) == {256, 512}
    assert taken.count(256) / len(taken) == pytest.approx(0.5, abs=0.05)
