"""How the rate of a training goes."""

import pytest

from autobert_hf.lab.training.recipe import Recipe


def test_the_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(100, learning_rate=2.0, warmup=0.1, decay=0.3)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10:71] == [2.0] * 61
    assert rates[71:] == pytest.approx([2.0 * (100 - step) / 30 for step in range(71, 100)])


def test_a_short_training_starts_at_the_peak() -> None:
    assert Recipe(3, 1.0).rate(0) == Recipe(3, 1.0, warmup=0.0).rate(0) == Recipe(3, 1.0).rate(2) == 1.0
