"""Numbers with a unit."""

import pytest

from autobert_hf.searchers.settings.described import Quantity


@pytest.mark.parametrize(
    ("text", "value"), [("5M", 5e6), ("1.2G", 1.2e9), ("250K", 250e3), ("30k", 30e3), ("5e6", 5e6), ("7", 7)]
)
def test_quantities(text, value):
    assert Quantity(text) == value


@pytest.mark.parametrize("text", ["five", "5X", "", "M", "nan", "inf", "1..5"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="write 5000000, 5e6 or 5M"):
        Quantity(text)
