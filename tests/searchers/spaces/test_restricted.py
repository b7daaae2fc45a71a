"""The part of a space that is allowed: everything that is drawn lies in it."""

from random import Random

import pytest

from autobert_hf.searchers.spaces.restricted import EmptyError

from ..made_up import SPACE, latency, within


def test_it_draws_mutates_and_crosses_inside():
    space, rng = within(0.2, 0.3), Random(0)
    found = [space.sample(rng) for _ in range(20)]
    found += [space.mutate(one, rng) for one in found] + [space.crossover(*found[:2], rng)]
    assert all(space.contains(one) and 0.2 <= latency(one) <= 0.3 for one in found)
    assert not space.contains(SPACE.largest())
    assert set(found) <= set(space.enumerate())
    assert all(map(space.contains, space.enumerate()))


def test_nothing_that_is_allowed_is_an_error():
    with pytest.raises(EmptyError, match="None of 10,000 random networks"):
        within(2, 3).sample(Random(0))


def test_a_guide_that_only_wants_what_is_not_allowed_gives_way():
    """As OP-NAS, which draws an untried width first, where that width is over the limit."""
    parent = within(0.2, 0.3).sample(Random(0))
    space = within(0.5 * latency(parent), latency(parent))
    child = space.mutate(parent, Random(1), lambda position, choices, rng: max(choices))
    assert child != parent and space.contains(child)
