"""The tables of skips.py name tests and shapes that exist; conftest.py holds them against what happens."""

from fnmatch import filter as matching

from .shapes import SHAPES
from .skips import EXPECTED_FAILURES, SKIP_THEMSELVES, SLOW
from .suite import DecoderSuite


TESTS = [name for name in dir(DecoderSuite) if name.startswith("test_")]


def test_every_pattern_names_a_test_of_transformers() -> None:
    assert [pattern for pattern in SKIP_THEMSELVES if not matching(TESTS, pattern)] == []


def test_every_expected_failure_and_slow_test_exists() -> None:
    named = {(shape, name) for shape, failures in EXPECTED_FAILURES.items() for name in failures}
    named |= {(shape, name) for name, shapes in SLOW.items() for shape in shapes}
    assert [pair for pair in named if pair[0] not in SHAPES or pair[1] not in TESTS] == []
