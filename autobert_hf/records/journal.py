"""
The journal of trials: an append-only file of JSON lines with one writer.

The last value of each line is a digest of the line and of the digest before it. The first line follows the identity of
the run (`RunFolder.identity`), so that a line that was changed, added or removed is noticed, and a journal of another
run too. What a line holds does not matter.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autobert_hf.records.damage import way_out
from autobert_hf.records.files import disk_errors, sync
from autobert_hf.records.run_folder import RunFolder


END = re.compile(rb'(?:, )?"digest": "([0-9a-f]{16})"\}\Z')


class JournalError(ValueError):
    """The journal cannot be read, or does not fit the settings of the run."""


class Journal:
    """
    One record per line, on disk before `append` returns. A killed process may leave an incomplete last line, which is
    removed on opening, since its trial was never confirmed. Of several processes one is the `writer`; the others keep
    the same records in memory. `digests`: that of the run, then that of each line.
    """

    def __init__(self, path: Path, writer: bool = True) -> None:
        self.path = path
        self.writer = writer
        if writer and path.exists():
            self._cut_unfinished_line()
        self.digests = [RunFolder(path.parent).identity()]
        self.records: list[dict[str, Any]] = []
        for record, digest in _chained(path, self.digests[0]):
            self.records.append(record)
            self.digests.append(digest)

    def append(self, record: dict[str, Any]) -> None:
        text = json.dumps(record, sort_keys=True)[:-1]
        digest = _digest(self.digests[-1], text.encode())
        if self.writer:
            self._write(f'{text}{", " if record else ""}"digest": "{digest}"}}\n'.encode())
        self.records.append(record)
        self.digests.append(digest)

    def _write(self, line: bytes) -> None:
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
    return (record for record, _ in _chained(path, RunFolder(path.parent).identity()))


def _chained(path: Path, digest: str) -> Iterator[tuple[dict[str, Any], str]]:
    """
    The records, each with the digest of its line; `digest`: that before the first line.

    Raises:
        JournalError: for the first line that is not as it was written.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            end = END.search(line := line[:-1])
            if end is None:
                raise JournalError(f"{path}, line {number} {_fault(line)}. {way_out(path)}")
            text, before, digest = line[: end.start()], digest, end[1].decode()
            if digest != _digest(before, text):
                place = "run.json beside it" if number == 1 else "the line before"
                raise JournalError(
                    f"{path}, line {number} does not follow from {place}, as its digest says: one of them was changed "
                    f"by hand, or lines were removed. {way_out(path)}"
                )
            yield json.loads(text + b"}"), digest


def _digest(before: str, text: bytes) -> str:
    return hashlib.sha256(before.encode() + text).hexdigest()[:16]


def _fault(line: bytes) -> str:
    """What is wrong with a line that does not end in a digest."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also of text that is not UTF-8
        return f"is not JSON ({error}): the journal was changed by hand"
    if not isinstance(record, dict):
        return f"holds a {type(record).__name__}, not a trial: the journal was changed by hand"
    return "has no digest: it was changed by hand or written by an earlier version of autobert-hf"
