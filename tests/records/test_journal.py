"""Appending is whole or not at all, and what was appended is read again."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from autobert_hf.records import journal as module
from autobert_hf.records.files import StorageError
from autobert_hf.records.journal import Journal, JournalError, read_journal
from autobert_hf.records.run_folder import RunFolder


RECORDS: list[dict[str, Any]] = [
    {"trial": 0, "scores": {"loss": 0.1 + 0.2}, "reason": "two\nlines, a line separator \u2028 and an umlaut ü"},
    {"trial": 1, "scores": {}, "reason": ""},
    {"trial": 2, "scores": {"loss": 1e-300}, "reason": "\0"},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal:
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    return journal


def test_what_was_appended_is_read_again(journal: Journal, path: Path) -> None:
    assert journal.records == RECORDS
    assert Journal(path).records == RECORDS
    written = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [record.pop("digest") for record in written] == Journal(path).digests[1:]
    assert written == RECORDS


def test_a_journal_that_is_not_there_is_empty(path: Path) -> None:
    assert Journal(path).records == []
    assert read_journal(path) == []


@pytest.mark.parametrize("missing", [1, 2, 20])
def test_a_half_written_last_line_is_cut(journal: Journal, path: Path, missing: int) -> None:
    """One byte is missing: the line is whole JSON, but nobody was told that it is there."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-missing])
    assert read_journal(path) == RECORDS[:2]
    assert path.read_bytes() == whole[:-missing], "reading alone changes nothing"
    again = Journal(path)
    assert again.records == RECORDS[:2]
    again.append(RECORDS[2])
    assert path.read_bytes() == whole


def test_nothing_but_half_a_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"tri')
    assert Journal(path).records == []
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"trial": 1, "scores"', "is not JSON"),
        (b"", "is not JSON"),
        (b"17", "holds a int"),
        (b'{"trial": 1}', "has no digest"),
        (b"[" * 100_000, "is not JSON"),
        (b"1" * 5000, "is not JSON"),
        (b'["trial"]', "holds a list"),
    ],
)
def test_a_line_changed_by_hand_is_named(journal: Journal, path: Path, line: bytes, what: str) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, lines[2], b""]))
    with pytest.raises(JournalError, match=rf"journal\.jsonl, line 2 {what}.*by hand.*from a copy.*new --output-dir"):
        Journal(path)


def test_what_is_no_text_is_named(journal: Journal, path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 1 is not JSON"):
        Journal(path)


def test_a_record_is_on_the_disk_before_append_returns(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line goes first, then the file is forced to the disk, and only then does the trial count."""
    seen: list[tuple[str, int, int]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.stat().st_size, len(journal.records)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    before = path.stat().st_size
    journal.append({"trial": 3})
    assert seen == [(str(path), before + len('{"trial": 3, "digest": "0123456789abcdef"}\n'), 3)]
    assert len(journal.records) == 4


def test_a_new_file_is_entered_into_its_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    Journal(path).append(RECORDS[0])
    assert synced == [str(path), str(path.parent)]


def full_disk(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def half(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data[: len(data) // 2])
    full_disk()


@pytest.mark.parametrize(("owner", "name", "failing"), [(module, "_write_all", half), (os, "fsync", full_disk)])
def test_a_full_disk_leaves_the_file_as_it_was(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, failing: object
) -> None:
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(StorageError, match=r"Cannot write .*journal\.jsonl: the disk is full: free some space"):
            journal.append({"trial": 3})
    assert path.read_bytes() == whole
    assert journal.records == RECORDS
    journal.append({"trial": 3})
    assert Journal(path).records == [*RECORDS, {"trial": 3}]


def test_short_writes_are_repeated(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take fewer bytes than it was given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    journal.append({"trial": 3})
    assert Journal(path).records == [*RECORDS, {"trial": 3}]


def changed(lines: list[bytes], way: str) -> list[bytes]:
    first, second, third = lines
    return {
        "a score": [first, second.replace(b'"trial": 1', b'"trial": 7'), third],
        "a digest": [first, second.replace(b'"digest": "', b'"digest": "0'[:-1] + b"f"), third],
        "NaN": [first, second.replace(b'"scores": {}', b'"scores": NaN'), third],
        "a huge number": [first, second.replace(b'"trial": 1', b'"trial": 1' + b"0" * 400), third],
        "deep nesting": [first, second.replace(b'"scores": {}', b'"scores": ' + b"[" * 9999 + b"]" * 9999), third],
        "an added line": [first, first, second, third],
        "a removed line": [first, third],
        "other spaces": [first, second.replace(b": ", b":", 1), third],
        "order": [first, third, second],
    }[way]


@pytest.mark.parametrize(
    "way",
    ["a score", "a digest", "NaN", "a huge number", "deep nesting", "an added line", "a removed line", "other spaces"]
    + ["order"],
)
def test_what_was_changed_by_hand_shows_in_the_digests(journal: Journal, path: Path, way: str) -> None:
    lines = changed(path.read_bytes().splitlines(keepends=True), way)
    path.write_bytes(b"".join(lines))
    for read in (Journal, read_journal):
        with pytest.raises(JournalError, match=r"journal\.jsonl, line 2 (does not follow|has no digest)"):
            read(path)


def test_the_first_line_follows_the_run(tmp_path: Path) -> None:
    """A journal of other settings is refused; one of the same run with a larger budget or elsewhere goes on."""
    folders = {name: tmp_path / name for name in ("one", "larger", "other")}
    for name, folder in folders.items():
        RunFolder(folder).open({"seed": int(name == "other")}, {}, {"num_trials": len(name)})
    Journal(folders["one"] / "journal.jsonl").append({"trial": 0})
    data = (folders["one"] / "journal.jsonl").read_bytes()
    for name in ("larger", "other"):
        (folders[name] / "journal.jsonl").write_bytes(data)
    assert Journal(folders["larger"] / "journal.jsonl").records == [{"trial": 0}]
    with pytest.raises(JournalError, match=r"line 1 does not follow from run\.json beside it"):
        Journal(folders["other"] / "journal.jsonl")


def test_other_processes_keep_the_same_digests(path: Path) -> None:
    writer, reader = Journal(path), Journal(path, writer=False)
    for journal in (writer, reader):
        journal.append({})
        journal.append(RECORDS[0])
    assert reader.digests == writer.digests == Journal(path).digests
    assert len(set(reader.digests)) == 3
    assert Journal(path).records == [{}, RECORDS[0]]
