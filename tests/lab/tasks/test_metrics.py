"""Metrics against the formulas of the books, and SQuAD's against answers judged by hand."""

import math
import random

import pytest
from scipy.stats import kendalltau, rankdata

from autobert_hf.lab.tasks.metrics import METRICS, exact_match, normalized, score, word_f1


RNG = random.Random(0)
SAID = [RNG.randrange(2) for _ in range(200)]
TRUE = [said if RNG.random() < 0.7 else 1 - said for said in SAID]


def table(said: list[int], true: list[int]) -> tuple[int, int, int, int]:
    pairs = list(zip(said, true, strict=True))
    return pairs.count((1, 1)), pairs.count((1, 0)), pairs.count((0, 1)), pairs.count((0, 0))


def test_two_classes() -> None:
    hit, false, missed, rest = table(SAID, TRUE)
    product = (hit + false) * (hit + missed) * (rest + false) * (rest + missed)
    assert score("classification", ["accuracy"], SAID, TRUE) == pytest.approx((hit + rest) / 200)
    assert score("classification", ["f1"], SAID, TRUE) == pytest.approx(2 * hit / (2 * hit + false + missed))
    matthews = (hit * rest - false * missed) / math.sqrt(product)
    assert score("classification", ["matthews_correlation"], SAID, TRUE) == pytest.approx(matthews)
    both = score("classification", ["accuracy", "f1"], SAID, TRUE)
    assert both == pytest.approx(((hit + rest) / 200 + 2 * hit / (2 * hit + false + missed)) / 2)


def test_three_classes_take_the_mean_of_their_f1() -> None:
    said, true = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0]
    each = []
    for label in range(3):
        hit, false, missed, _ = table([int(x == label) for x in said], [int(x == label) for x in true])
        each.append(2 * hit / (2 * hit + false + missed))
    assert score("classification", ["f1"], said, true) == pytest.approx(sum(each) / 3)


def test_a_network_that_says_one_class_only_has_no_correlation() -> None:
    assert score("classification", ["matthews_correlation"], [1, 1, 1], [0, 1, 1]) == 0.0
    assert score("classification", ["f1"], [0, 0, 0], [0, 1, 1]) == 0.0


def test_correlations() -> None:
    x = [RNG.gauss(0, 1) for _ in range(50)]
    y = [math.exp(value) + RNG.gauss(0, 0.3) for value in x]
    y[3] = y[4]

    def pearson(a: list[float], b: list[float]) -> float:
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        product = sum((p - mean_a) * (q - mean_b) for p, q in zip(a, b, strict=True))
        return product / math.sqrt(sum((p - mean_a) ** 2 for p in a) * sum((q - mean_b) ** 2 for q in b))

    assert score("regression", ["pearson"], x, y) == pytest.approx(pearson(x, y))
    ranks = pearson(rankdata(x).tolist(), rankdata(y).tolist())
    assert score("regression", ["spearman"], x, y) == pytest.approx(ranks)
    assert ranks != pytest.approx(kendalltau(x, y).statistic), "the test tells them apart"
    assert score("regression", ["pearson", "spearman"], [1.0] * 50, y) == 0.0


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        ("The  Eiffel\tTower.", "eiffel tower"),
        ("an apple, a day", "apple day"),
        ("U.S.", "us"),
        ("theatre", "theatre"),
        ("The", ""),
        ("well-known", "wellknown"),
        ("“quoted”", "“quoted”"),  # SQuAD takes ASCII punctuation out, no other
    ],
)
def test_answers_are_compared_without_case_articles_and_punctuation(answer: str, same: str) -> None:
    assert normalized(answer) == same


@pytest.mark.parametrize(
    ("said", "truth", "exact", "f1"),
    [
        ("the Denver Broncos", "Denver Broncos", 1.0, 1.0),
        ("Denver", "Denver Broncos", 0.0, 2 / 3),
        ("Broncos of Denver", "Denver Broncos", 0.0, 0.8),
        ("no no no", "no", 0.0, 0.5),
        ("Carolina", "Denver Broncos", 0.0, 0.0),
        ("", "Denver", 0.0, 0.0),
        ("Denver", "", 0.0, 0.0),
        ("", "", 1.0, 1.0),
    ],
)
def test_words_in_common(said: str, truth: str, exact: float, f1: float) -> None:
    assert exact_match(said, truth) == exact
    assert word_f1(said, truth) == pytest.approx(f1)


def test_the_best_of_the_given_answers_counts_and_no_answer_is_the_empty_one() -> None:
    said = ["Denver", "1993", "", "something"]
    truths = [["Denver Broncos", "Denver"], ["in 1993"], [], []]
    assert score("question answering", ["exact_match"], said, truths) == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert score("question answering", ["f1"], said, truths) == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)


def test_every_metric_of_the_table_is_computed() -> None:
    texts = ["one", "two"]
    data = {
        "classification": ([0, 1], [0, 1]),
        "regression": ([0.5, 2.0], [1.0, 3.0]),
        "question answering": (texts, [[text] for text in texts]),
    }
    for kind, names in METRICS.items():
        assert [score(kind, [name], *data[kind]) for name in names] == pytest.approx([1.0] * len(names))
