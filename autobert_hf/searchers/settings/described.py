"""Dataclass fields for settings: help text, smallest value, and what of a setting belongs to this machine."""

import re
from argparse import ArgumentTypeError
from dataclasses import field
from typing import Any, TypeVar


T = TypeVar("T")
QUANTITY = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([KMGBT]?)"
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}


class QuantityError(ArgumentTypeError, ValueError):
    """An error whose message argparse shows, unlike that of a ValueError."""


class Quantity(float):
    """A number that may be written with a unit in either case: 250k, 5M, 1.2G."""

    def __new__(cls, text: str | float) -> "Quantity":
        found = re.fullmatch(QUANTITY, str(text), re.IGNORECASE)
        if not found:
            raise QuantityError(f"{text} is not a number: write 5000000, 5e6 or 5M.")
        return super().__new__(cls, float(found[1]) * UNITS[found[2].upper()])


def described(text: str, default: T, least: float | None = None, local: bool = False, place: bool = False) -> T:
    """
    A field with help `text` and smallest value `least`. `local`: may change on resuming, and is not published.
    `place`: an id on the Hub, or a path, which is local.
    """
    return field(default=default, metadata={"help": text, "least": least, "local": local, "place": place})


def several(text: str, local: bool = False) -> Any:  # noqa: ANN401 (dataclasses take any default)
    """A list setting: `--name a b` or `--name a --name b` on the command line."""
    return field(default_factory=list, metadata={"help": text, "action": "extend", "local": local})
