"""What transformers' tests need of pytest, and the tables of skips.py held against what really happens."""

from collections.abc import Generator
from fnmatch import fnmatch

import pytest

from .skips import EXPECTED_FAILURES, SKIP_THEMSELVES, SLOW


# Marks of transformers' own, which our --strict-markers would refuse.
MARKS = "accelerate_tests flash_attn_test flash_attn_3_test flash_attn_4_test torch_compile_test is_training_test"


def shape_of(item: pytest.Item) -> str | None:
    """The shape that one of transformers' tests runs on; None for tests of our own."""
    return getattr(getattr(item, "cls", None), "shape", None)


def pytest_configure(config: pytest.Config) -> None:
    for name in MARKS.split():
        config.addinivalue_line("markers", f"{name}: of transformers' own tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        shape = shape_of(item)
        if reason := EXPECTED_FAILURES.get(shape, {}).get(item.name):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        if shape in SLOW.get(item.name, ()):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    unlisted = not any(fnmatch(item.name, pattern) for pattern in SKIP_THEMSELVES)
    if report.skipped and not hasattr(report, "wasxfail") and shape_of(item) and unlisted:
        report.outcome = "failed"
        report.longrepr = f"{item.name} was skipped and is not in skips.py: {report.longrepr}"
    return report
