"""
Escaping: the only place where untrusted strings (configs, labels, data sets, journals) become part of a document.

Templates escape by default: whatever `{{ ... }}` prints goes through `plain`, unless it is `Safe`, which only the
functions here return. A string without special characters is not changed; in any other, every character except
letters, digits, spaces, dots and commas becomes an entity, which Markdown, HTML and LaTeX never parse as markup.
"""

import re
import shlex
import unicodedata
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup


# Filters of Markdown and HTML templates.
NUMBERS: dict[str, Callable[[Any], str]] = {
    "thousands": lambda number: f"{number:,.0f}" if number == round(number) else f"{number:,.4g}",
    "score": lambda number: score(number),
    "amount": lambda number: f"{number / 1e6:,.2f} M" if number >= 1e5 else f"{number:,.0f}",
    "duration": lambda seconds: duration(seconds),
    "interval": lambda of: interval(of["value"], of["low"], of["high"]),
}
LONGEST, LONGEST_LABEL = 300, 48  # maximum lengths of untrusted strings; the records hold the rest

_INERT = re.compile(r"(?:[^\W_]|[ .,;/%=+'()-])*")  # in running text
_INERT_CODE = re.compile(r"""[\w.,;:/%=+'"()@?!*^#\[\]-]+(?: +[\w.,;:/%=+'"()@?!*^#\[\]-]+)*""")  # between backticks
_INERT_SHELL = re.compile(r"[\w.,:/=@%+ -]*", re.ASCII)  # between quotes, also inside a Markdown fence


class Safe(str):
    """Text that is already escaped for Markdown."""


def one_line(value: object) -> str:
    """The text with runs of white space, control and unassigned characters (Unicode's Z, C) as single spaces."""
    text = re.sub(" +", " ", "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in str(value)))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def plain(value: object) -> Safe:
    """Escapes a value for running text and table cells."""
    if isinstance(value, Safe):
        return value
    text = one_line(value)
    return Safe(text if _INERT.fullmatch(text) else _entities(text))


def code(value: object) -> Safe:
    """Escapes a value as code, for running text and table cells."""
    text = one_line(value).strip()
    return Safe(f"`{text}`" if _INERT_CODE.fullmatch(text) else f"<code>{_entities(text)}</code>")


def word(value: object) -> Safe:
    """Quotes a value as one word of a bash command, also inside a fenced block of Markdown."""
    text = str(value)
    if _INERT_SHELL.fullmatch(text):
        return Safe(shlex.quote(text))
    data = text.encode("utf-8", "replace")
    return Safe(
        "$'"
        + "".join(chr(b) if chr(b).isalnum() and b < 128 or chr(b) in "./_-" else f"\\x{b:02x}" for b in data)
        + "'"
    )


def literal(value: object) -> Safe:
    """A value as a Python string literal, for code in a fenced block of Markdown."""
    text = one_line(value)
    return Safe('"' + "".join(char if _INERT_SHELL.fullmatch(char) else f"\\U{ord(char):08x}" for char in text) + '"')


def score(number: float) -> str:
    if number == round(number) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.4g}" if abs(number) >= 10 else f"{number:.4f}"


def duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"


def label(value: object) -> str:
    """A value for figures: shortened, with dollar signs escaped."""
    text = one_line(value)
    return (text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…").replace("$", r"\$")


def _entities(text: str) -> str:
    return "".join(char if char.isalnum() or char in " .," else f"&#{ord(char)};" for char in text)


def markdown(template: str, **values: Any) -> str:
    """Renders a Markdown template of this package."""
    environment = Environment(
        undefined=StrictUndefined, finalize=plain, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )  # Markdown is escaped by `finalize`, not by HTML's rules
    environment.filters |= {"code": code, "word": word, "literal": literal, "latex": Safe, **NUMBERS}
    return environment.from_string(_read(template)).render(values)


def html(template: str, **values: Any) -> str:
    """Renders an HTML template of this package; Jinja escapes all but `Markup`, which this package generates."""
    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"one_line": one_line, **NUMBERS}
    return environment.from_string(_read(template)).render(values)


def _read(template: str) -> str:
    return files("autobert_hf.hub_cards").joinpath(template).read_text(encoding="utf-8")


__all__ = ["Markup", "Safe", "code", "html", "label", "markdown", "one_line", "plain", "word"]
