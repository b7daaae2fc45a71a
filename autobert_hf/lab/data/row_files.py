"""Rows of token ids in memory-mapped Arrow files: memory does not grow with their number."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.files import write_whole


Column = list[np.ndarray]


def table_of(rows: Sequence[Sequence[int] | np.ndarray], labels: Sequence[int] | None = None) -> pa.Table:
    """Token ids of each row, (tokens,), and a label of each where there are any."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    offsets = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
    flat = np.concatenate([np.empty(0, np.int32), *(np.asarray(row, np.int32) for row in rows)])
    columns = {"ids": pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat))}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int8())
    return pa.table(columns)


def write_rows(path: Path, rows: pa.Table, **metadata: object) -> None:
    """The metadata are strings on disk."""
    table = rows.replace_schema_metadata({key: str(value) for key, value in metadata.items()})

    def write(temporary: Path) -> None:
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    write_whole(path, write)


def read_metadata(path: Path) -> dict[str, str]:
    """
    Raises:
        DamagedFileError: if it is not a file of rows.
    """
    with _damage(path), pa.memory_map(str(path)) as file:
        found = pa.ipc.open_file(file).schema.metadata or {}
        metadata = {key.decode(): value.decode() for key, value in found.items()}
        return metadata | {name: str(int(metadata[name])) for name in ("documents", "tokens")}


def read_rows(path: Path) -> pa.Table:
    """
    Memory-mapped: nothing is read before it is asked for.

    Raises:
        DamagedFileError: if it is not a whole file of rows.
    """
    with _damage(path):
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate()
        for chunk in table.column("ids").chunks:
            if (np.diff(chunk.offsets.to_numpy()) < 0).any():
                raise ValueError("rows of negative length")
        return table


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DamagedFileError(path, f"is not a whole file of rows ({error})") from error


class RowFiles:
    """
    The rows of several tables, one after another, as far as they hold `most` tokens. `rows[indices]` reads
    (n, longest) int64, shorter ones padded with `pad_id`.
    """

    def __init__(self, tables: Sequence[pa.Table], pad_id: int, most: int | None = None) -> None:
        self.pad_id = pad_id
        self.flat: Column = []
        offsets: Column = []
        labels: Column = []
        for chunk in (chunk for table in tables for chunk in table.to_batches()):
            ids = chunk.column("ids")
            offsets.append(ids.offsets.to_numpy())
            self.flat.append(ids.values.to_numpy())
            if "label" in chunk.schema.names:
                labels.append(chunk.column("label").to_numpy())
        self.offsets = offsets
        self.starts = np.concatenate([[0], np.cumsum([len(offset) - 1 for offset in offsets], dtype=np.int64)])
        lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(offset) for offset in offsets)])
        self.number = len(lengths) if most is None else int(np.searchsorted(lengths.cumsum(), most, side="right"))
        self.lengths = lengths[: self.number]
        self.labels = torch.from_numpy(np.concatenate(labels)[: self.number].astype(np.int64)) if labels else None

    def __len__(self) -> int:
        return self.number

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, tokens of the longest)."""
        return self.number, int(self.lengths.max(initial=0))

    def __getitem__(self, indices: torch.Tensor) -> torch.Tensor:
        rows = [self.row(int(index)) for index in indices]
        found = torch.full((len(rows), max(map(len, rows))), self.pad_id)
        for place, row in enumerate(rows):
            found[place, : len(row)] = torch.from_numpy(row.astype(np.int64))
        return found

    def row(self, index: int) -> np.ndarray:
        file = int(np.searchsorted(self.starts, index, side="right")) - 1
        start, end = self.offsets[file][index - self.starts[file] : index - self.starts[file] + 2]
        return self.flat[file][start:end]

    def counts(self, vocab_size: int) -> np.ndarray:
        """How often each word stands in the rows, (vocab_size,)."""
        total = np.zeros(vocab_size, dtype=np.int64)
        for flat in self._flat_rows():
            total += np.bincount(flat, minlength=vocab_size)
        return total

    def _flat_rows(self) -> Iterator[np.ndarray]:
        for file, flat in enumerate(self.flat):
            rows = min(len(self.offsets[file]) - 1, self.number - int(self.starts[file]))
            if rows > 0:
                yield flat[: self.offsets[file][rows]]
