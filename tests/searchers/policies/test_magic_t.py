"""MAGIC-T's walk: what changes from step to step, and that it visits every network alike."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.policies import MagicT
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.chain import ChainSpace, attention, feed_forward, main_operations


SPACE = ChainSpace(main_operations(48, heads=4), 4, 48)  # 256 networks
TWO = ChainSpace({"MHA": attention(2, 6), "FFN": feed_forward(24)}, 6, 48)


def walked(policy: MagicT, steps: int) -> list[Architecture]:
    return [policy(step, 0)[0] for step in range(steps)]


def differing(one: Architecture, other: Architecture) -> int:
    return sum(a != b for a, b in zip(one.layers, other.layers, strict=True))


@pytest.mark.parametrize("changes", [1, 2, 4])
def test_exactly_so_many_layers_change(changes):
    path = walked(MagicT(SPACE, 0, changes), 60)
    assert {differing(one, other) for one, other in pairwise(path)} == {changes}


def test_it_walks_on_other_spaces_too():
    path = walked(MagicT(AutoBertZeroSpace(3), 0), 20)
    assert {differing(one, other) for one, other in pairwise(path)} == {1}


def test_a_step_follows_from_the_seed_alone():
    path = walked(MagicT(SPACE, 5), 40)
    backwards = MagicT(SPACE, 5)
    assert [backwards(step, 1)[0] for step in range(40)[::-1]] == path[::-1]
    assert MagicT(SPACE, 5)(39, 0) == [path[39]]  # as after a kill
    assert walked(MagicT(SPACE, 6), 40) != path


def test_with_two_operations_a_layer_may_stay():
    path = walked(MagicT(TWO, 0, changes=2, lazy=True), 200)
    assert {differing(one, other) for one, other in pairwise(path)} == {0, 1, 2}


def test_all_networks_are_visited_alike():
    """Thinned: neighbours on a walk are alike, so their visits are not independent."""
    names = {one: number for number, one in enumerate(SPACE.enumerate())}
    counts = np.zeros(256)
    for step, one in enumerate(walked(MagicT(SPACE, 1), 5 * 256 * 10)):
        if step % 5 == 0:
            counts[names[one]] += 1
    assert chisquare(counts).pvalue > 0.01


def test_the_distance_from_uniform_keeps_its_bound():
    """Total variation from the exact matrix of transitions: at most N exp(-t / N)."""
    every = [*SPACE.enumerate()]
    near = np.array([[differing(one, other) == 1 for other in every] for one in every], dtype=float)
    transitions = near / near.sum(1, keepdims=True)
    assert near.sum(1).tolist() == [4 * 3] * 256
    at = np.zeros(256)
    at[0] = 1.0
    for step in range(1, 41):
        at = at @ transitions
        assert np.abs(at - 1 / 256).sum() / 2 <= 4 * math.exp(-step / 4)


def test_the_walk_takes_the_steps_of_that_matrix():
    """From one network, each of its 12 neighbours is as likely."""
    start = MagicT(SPACE, 0)._start()
    found = [MagicT(SPACE, 0)._next(step, start) for step in range(1, 1201)]
    assert len({*found}) == 12
    assert chisquare([found.count(one) for one in {*found}]).pvalue > 0.01


@pytest.mark.parametrize("changes", [0, 5])
def test_more_changes_than_layers(changes):
    with pytest.raises(ValueError, match=f"{changes} of 4 layers should change at a step: give 1 to 4"):
        MagicT(SPACE, 0, changes)
