"""
JSON files of a run. Each holds a digest of its content, so that one that was changed by hand or damaged is refused
instead of used.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.files import write_text


DIGEST = "_digest"


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """A result for others to read, without a digest."""
    write_text(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def write_record(path: Path, data: Mapping[str, Any]) -> None:
    content = json.loads(json.dumps(data))  # names as JSON has them, before they are sorted
    write_json(path, content | {DIGEST: _digest(content)})


def read_record(path: Path) -> dict[str, Any]:
    """
    What `write_record` wrote.

    Raises:
        DamagedFileError: if it is no longer that, or no longer there.
    """
    content = read_json(path)
    written = content.pop(DIGEST, None)
    if written is None:
        raise DamagedFileError(path, "has no digest: an earlier version of autobert-hf wrote it, or another program")
    if written != _digest(content):
        raise DamagedFileError(path, "is not as it was written, as its digest says: it was changed by hand or damaged")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """
    An object from a JSON file, whoever wrote it.

    Raises:
        DamagedFileError: if there is none in it.
    """
    try:
        content = json.loads(path.read_bytes())
        json.dumps(content)  # what is nested too deeply to be written again is no record
    except FileNotFoundError as error:
        raise DamagedFileError(path, "is missing") from error
    except (ValueError, RecursionError) as error:  # ValueError: also of text that is not UTF-8, and of endless numbers
        raise DamagedFileError(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise DamagedFileError(path, f"holds a {type(content).__name__}, not an object")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
