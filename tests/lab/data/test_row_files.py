"""Rows come back from Arrow files as they were written, by index, and only those that were asked for are read."""

import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf.lab.data import row_files as module
from autobert_hf.lab.data.row_files import RowFiles, read_metadata, read_rows, table_of, write_rows
from autobert_hf.records.files import StorageError


ROWS = [[1, 2, 3], [4], [], [5, 6], [7, 8, 9, 10]]
ragged = st.lists(st.lists(st.integers(1, 99), max_size=6), max_size=8)


def written(folder: Path, *tables: list[list[int]]) -> list[Path]:
    paths = [folder / f"{number}.arrow" for number in range(len(tables))]
    for path, rows in zip(paths, tables, strict=True):
        write_rows(path, table_of(rows), documents=7, tokens=3)
    return paths


@given(tables=st.lists(ragged, max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_rows_of_several_tables_are_read_by_index(tables: list[list[list[int]]], data: st.DataObject) -> None:
    rows = RowFiles([*map(table_of, tables)], pad_id=0)
    expected = [row for table in tables for row in table]
    assert len(rows) == len(expected)
    assert rows.lengths.tolist() == [*map(len, expected)]
    assert rows.shape == (len(expected), max(map(len, expected), default=0))
    assert rows.counts(100).tolist() == [sum(row.count(word) for row in expected) for word in range(100)]
    if not expected:
        return
    chosen = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1))
    found = rows[torch.tensor(chosen)]
    longest = max(len(expected[index]) for index in chosen)
    assert found.dtype == torch.int64
    assert found.tolist() == [expected[index] + [0] * (longest - len(expected[index])) for index in chosen]


@given(tables=st.lists(ragged, max_size=4), most=st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_rows_end_where_they_hold_the_most_tokens(tables: list[list[list[int]]], most: int) -> None:
    rows = RowFiles([*map(table_of, tables)], 0, most)
    expected = [row for table in tables for row in table]
    kept = expected[: len(rows)]
    assert sum(map(len, kept)) <= most
    assert len(kept) == len(expected) or sum(map(len, expected[: len(rows) + 1])) > most
    assert rows.counts(100).sum() == rows.lengths.sum() == sum(map(len, kept))


def test_labels_stand_beside_their_rows() -> None:
    rows = RowFiles([table_of([[1], [2]], [0, 1]), table_of([], []), table_of([[3]], [1])], 0)
    assert rows.labels is not None
    assert rows.labels.tolist() == [0, 1, 1]
    assert RowFiles([table_of([[1], [2]], [0, 1])], 0, most=1).labels.tolist() == [0]
    assert RowFiles([table_of([[1]])], 0).labels is None


def test_files_hold_rows_and_metadata(tmp_path: Path) -> None:
    (path,) = written(tmp_path, ROWS)
    assert read_metadata(path) == {"documents": "7", "tokens": "3"}
    assert read_rows(path)["ids"].to_pylist() == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["0.arrow"]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are in memory")
def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """Of 40 MB of tokens one row."""
    path = tmp_path / "large.arrow"
    write_rows(path, table_of([*np.arange(10**7, dtype=np.int32).reshape(-1, 1000)]))

    def resident() -> int:
        """Kilobytes of the file that are mapped into this process and were touched."""
        maps = Path("/proc/self/smaps").read_text()
        return sum(int(size) for size in re.findall(rf"{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+)", maps))

    rows = RowFiles([read_rows(path)], 0)
    assert len(rows) == 10_000
    before = resident()
    assert rows[torch.tensor([5000])][0, :3].tolist() == [5_000_000, 5_000_001, 5_000_002]
    one = resident()
    rows.counts(10**7)
    assert before <= one < 8000 < 39_000 < resident(), "the system reads some pages around"


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by the system to pyarrow itself."""
    (path,) = written(tmp_path, ROWS)
    full = pa.OSFile
    monkeypatch.setattr(module.pa, "OSFile", lambda name, mode: full("/dev/full", mode))
    with pytest.raises(
        StorageError, match=f"^Cannot write {path}: the disk is full: free some space, then run the same"
    ):
        write_rows(path, table_of([[9]]))
    assert read_rows(path)["ids"].to_pylist() == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["0.arrow"]
