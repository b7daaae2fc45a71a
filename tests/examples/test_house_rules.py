"""Examples are short, say how they are started, and are listed."""

import pytest

from .conftest import EXAMPLES


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_short_and_told(path):
    source = path.read_text()
    assert len(source.splitlines()) < 60
    assert f"examples/{path.name} " in source.split('"""')[1], "the docstring gives the command line"
    assert f"[{path.name}]({path.name})" in (EXAMPLES / "README.md").read_text()
