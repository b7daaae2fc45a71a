"""Checks before publishing: no secrets or paths of this machine in files, and valid metadata on the card."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, get_token

from autobert_hf.hub_cards.facts import HUB_ID


# Parents of home folders on Unix, and a pattern of the path below them.
HOMES = {b"home": rb"[\w.-]+", b"Users": rb"[\w.-]+", b"root": b""}
# A pattern is slow, so it is searched only in files that contain its key, a fixed string. These patterns are rare
# enough for binary files, in which any short one occurs by chance.
PLACES = {b"/%b/" % folder: re.compile(rb"(?<![\w.])/%b/%b" % (folder, rest)) for folder, rest in HOMES.items()}
PLACES[b"\\Users\\"] = re.compile(rb"(?<!\w)[A-Za-z]:\\{1,2}Users\\{1,2}[\w.-]+")
# Any absolute path in a text, of two names at least: a single one ("/tmp") tells nothing, and is mostly no path. It
# does not follow a name or a slash (addresses), "<" (tags), or "#!" (the first line of a script).
NAME = rb"[\w.@+-]*\w[\w.@+-]*"
PATHS = PLACES | {
    b"/": re.compile(rb"(?<![\w./\\<~)\]}-])(?<!#!)/%b/%b" % (NAME, NAME)),
    b"~": re.compile(rb"(?<![\w.~/-])~[\w.-]*/%b" % NAME),
    b":\\": re.compile(rb"(?<!\w)[A-Za-z]:\\{1,2}[\w.-]{2,}\\{1,2}[\w.-]+"),  # "Q:\n\nA" is no path
    b":/": re.compile(rb"(?<!\w)(?:[A-Za-z]:/%b/%b|(?i:file):/{1,3}%b)" % (NAME, NAME, NAME)),
    b"\\\\": re.compile(rb"(?<![\w\\}])(?:\\{2}|\\{4})%b\\{1,2}%b\\{1,2}%b" % (NAME, NAME, NAME)),
}
TOKENS = {
    b"hf_": re.compile(rb"\bhf_[A-Za-z0-9]{30,}"),
    b"api_org_": re.compile(rb"\bapi_org_[A-Za-z0-9]{30,}"),
    b"github_pat_": re.compile(rb"\bgithub_pat_\w{22,}"),
    b"AKIA": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    b"sk-": re.compile(rb"\bsk-[A-Za-z0-9_-]{32,}"),
    b"PRIVATE KEY-----": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
TOKENS |= {b"gh%c_" % kind: re.compile(rb"\bgh%c_[A-Za-z0-9]{36}" % kind) for kind in b"pousr"}  # GitHub's five kinds


class PushError(ValueError):
    """The folder must not be published as it is, or the Hub rejects it."""


def refuse_secrets(name: str, content: Path | bytes) -> None:
    """
    Raises PushError if a file holds a token or a path of this machine: in text any absolute one, in binary files one
    into a home folder. The message does not repeat it.
    """
    data = _text_of(content) if isinstance(content, Path) else content
    own, home = (get_token() or "").encode(), str(Path.home()).encode()
    if _first(TOKENS, data) is not None or (len(own) > 8 and own in data):
        raise PushError(f"{name} holds what looks like an access token: remove it, and make the token invalid.")
    places = PLACES if b"\0" in data else PATHS
    place = _first(places | ({home: re.compile(re.escape(home) + rb"\b")} if len(home) > 1 else {}), data)
    if place is not None:
        line = data.count(b"\n", 0, place) + 1
        raise PushError(f"{name}, line {line} holds an absolute path: remove it, as it tells of your machine and you.")


def _first(patterns: Mapping[bytes, re.Pattern[bytes]], data: bytes) -> int | None:
    """Position of a match of the first pattern that matches; None if none does."""
    found = (pattern.search(data) for fixed, pattern in patterns.items() if fixed in data)
    return next((match.start() for match in found if match), None)


def _text_of(path: Path) -> bytes:
    """The content of a file; for weights, only the header."""
    with path.open("rb") as file:
        if path.suffix != ".safetensors":
            return file.read()
        return file.read(int.from_bytes(file.read(8), "little"))


def refuse_bad_metadata(text: str) -> None:
    """Raises PushError unless a card's metadata has the form that the Hub accepts (it checks again on a push)."""
    try:
        data: Mapping[str, Any] = ModelCard(text, ignore_metadata_errors=False).data.to_dict()
    except Exception as error:  # YAML's and the library's errors have no common class
        raise PushError(f"README.md: its metadata cannot be read ({' '.join(str(error).split())}).") from error
    if not data:
        raise PushError("README.md has no metadata between two lines of ---: `autobert report` writes the card again.")
    for key in ("language", "license", "tags", "datasets", "metrics", "base_model", "library_name", "pipeline_tag"):
        values = data.get(key, [])
        values = values if isinstance(values, list) else [values]
        if not all(isinstance(value, str) for value in values):
            raise PushError(f"README.md: {key} is {data[key]!r} in its metadata: give a string or a list of strings.")
        if key in ("base_model", "datasets") and not all(HUB_ID.fullmatch(value) for value in values):
            raise PushError(f"README.md: {key} is {data[key]!r} in its metadata: give the id of a repository.")
