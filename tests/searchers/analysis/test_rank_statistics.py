"""Rank statistics against their definitions, and intervals that behave as intervals."""

import math
from itertools import combinations
from random import Random

import pytest

from autobert_hf.searchers.analysis.rank_statistics import agreement_difference, buckets, ceiling, rank_agreement


def noisy(real: list[float], noise: float, seed: int = 0) -> list[float]:
    rng = Random(seed)
    return [value + rng.gauss(0, noise) for value in real]


@pytest.fixture
def real() -> list[float]:
    return noisy([0.0] * 40, 1.0, seed=5)


def test_the_values_are_those_of_the_definitions_ties_included() -> None:
    cheap, real = [1, 2, 2, 3, 5, 4], [1.0, 3.0, 2.0, 2.5, 9.0, 10.0]
    found = rank_agreement({"cheap": cheap}, real)["cheap"]
    signs = [
        ((a > b) - (a < b), (c > d) - (c < d)) for (a, c), (b, d) in combinations(zip(cheap, real, strict=True), 2)
    ]
    agree, untied = sum(x * y for x, y in signs), sum(x != 0 for x, _ in signs)
    assert found["kendall"].value == pytest.approx(agree / math.sqrt(untied * 15))
    assert found["pairwise_accuracy"].value == pytest.approx((agree / 15 + 1) / 2)
    ranks, other = [1, 2.5, 2.5, 4, 6, 5], [1, 4, 2, 3, 5, 6]
    cross = sum((x - 3.5) * (y - 3.5) for x, y in zip(ranks, other, strict=True))
    sizes = sum((x - 3.5) ** 2 for x in ranks) * sum((y - 3.5) ** 2 for y in other)
    assert found["spearman"].value == pytest.approx(cross / math.sqrt(sizes))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_and_a_reversed_order(real: list[float], sign: int) -> None:
    found = rank_agreement({"same": [sign * math.exp(value) for value in real]}, real)["same"]
    assert [found["kendall"].value, found["kendall"].low, found["kendall"].high] == pytest.approx([sign] * 3)
    assert found["pairwise_accuracy"].value == pytest.approx((sign + 1) / 2)


def test_a_score_that_is_the_same_for_all_says_nothing(real: list[float]) -> None:
    found = rank_agreement({"constant": [3.0] * len(real)}, real)["constant"]
    assert math.isnan(found["kendall"].value)
    assert found["pairwise_accuracy"].value == 0.5


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Independent scores: the true tau is 0."""
    covered = 0
    for seed in range(40):
        one, other = (noisy([0.0] * 30, 1.0, seed=2 * seed + k) for k in range(2))
        tau = rank_agreement({"": one}, other)[""]["kendall"]
        covered += tau.low <= 0 <= tau.high
    assert 34 <= covered <= 40


def test_a_paired_difference_is_narrower_than_two_intervals(real: list[float]) -> None:
    good, worse = noisy(real, 0.5, seed=1), noisy(real, 0.5, seed=1)
    worse = [value + 0.05 * noise for value, noise in zip(worse, noisy([0.0] * 40, 1.0, seed=3), strict=True)]
    apart = rank_agreement({"good": good, "worse": worse}, real)
    difference = agreement_difference(good, worse, real)["kendall"]
    assert difference.value == pytest.approx(apart["good"]["kendall"].value - apart["worse"]["kendall"].value)
    width = apart["good"]["kendall"].high - apart["good"]["kendall"].low
    assert difference.high - difference.low < width / 2


def test_the_ceiling_is_the_mean_over_pairs_of_seeds(real: list[float]) -> None:
    runs = [noisy(real, 0.4, seed=seed) for seed in range(3)]
    pairs = [rank_agreement({"": a}, b)[""]["kendall"].value for a, b in combinations(runs, 2)]
    found = ceiling(runs)
    assert found is not None
    assert found["kendall"].value == pytest.approx(sum(pairs) / 3)
    assert found["kendall"].low < found["kendall"].value < found["kendall"].high
    assert ceiling(runs[:1]) is None


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([5, 1, 3, 2, 6, 4], [[1, 3], [2, 5], [0, 4]]),
        ([2, 2, 2, 1, 3, 2], [[3], [0, 1, 2, 5], [4]]),
        ([7, 7, 7], [[0, 1, 2]]),
        ([0, 1, 1, 1], [[0], [1, 2, 3]]),
    ],
)
def test_buckets_hold_equal_sizes_together(sizes: list[int], parts: list[list[int]]) -> None:
    assert buckets(sizes) == parts
