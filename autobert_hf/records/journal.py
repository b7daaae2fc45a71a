"""The journal of trials: an append-only file of JSON lines with one writer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autobert_hf.records.files import disk_errors, sync


class JournalError(ValueError):
    """The journal cannot be read, or does not fit the settings of the run."""


class Journal:
    """
    One record per line, on disk before `append` returns. A killed process may leave an incomplete last line, which is
    removed on opening, since its trial was never confirmed. Of several processes one is the `writer`; the others keep
    the same records in memory.
    """

    def __init__(self, path: Path, writer: bool = True) -> None:
        self.path = path
        self.writer = writer
        if writer and path.exists():
            self._cut_unfinished_line()
        self.records = read_journal(path)

    def append(self, record: dict[str, Any]) -> None:
        if self.writer:
            self._write(record)
        self.records.append(record)

    def _write(self, record: dict[str, Any]) -> None:
        line = (json.dumps(record, sort_keys=True) + "\n").encode()
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("ab", buffering=0) as file:
                start = file.tell()
                try:
                    _write_all(file.fileno(), line)
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)
                    raise
            if is_new:
                sync(self.path.parent)

    def _cut_unfinished_line(self) -> None:
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            with self.path.open("r+b") as file:
                file.truncate(end)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The records of a journal that another process may be writing: an unfinished last line is left out."""
    return list(journal_records(path))


def journal_records(path: Path) -> Iterator[dict[str, Any]]:
    """As `read_journal`, one by one: fifty thousand records at once take half a gigabyte."""
    data = path.read_bytes() if path.exists() else b""
    try:
        lines = data[: data.rfind(b"\n") + 1].decode().splitlines()
    except UnicodeDecodeError as error:
        raise JournalError(f"{path} is not UTF-8 text (byte {error.start}): restore it from a copy.") from error
    del data
    for number, line in enumerate(lines, start=1):
        yield _parse(path, number, line)


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise JournalError(
            f"{path}, line {number} is not JSON ({error.msg}): the journal was changed by hand. Restore the "
            "line from a copy, or start again in a new --output-dir."
        ) from error
    if not isinstance(record, dict):
        raise JournalError(
            f"{path}, line {number} holds a {type(record).__name__}, not a trial: the journal was changed by "
            "hand. Restore the line from a copy, or start again in a new --output-dir."
        )
    return record
