"""Loads the rows of a proxy task: from a folder of files, a data set on the Hub, or the built-in grammar."""

import glob
import random
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autobert_hf.lab.data import builtin_text
from autobert_hf.lab.data.documents import TABLES
from autobert_hf.lab.data.inputs import public_name
from autobert_hf.records.seeds import derive


# What the splits are called, as `datasets` knows them too; of several for validation the first one is taken.
TRAIN = ("train", "training")
VALIDATION = ("validation", "validation_matched", "valid", "val", "dev", "dev_matched")
UNUSED = ("test", "test_matched", "test_mismatched", "validation_mismatched", "dev_mismatched")
NO_LABEL = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")
SHARD = re.compile(r"-\d+-of-\d+$")
SHORT_NAMES = {"squad": "rajpurkar/squad", "squad_v2": "rajpurkar/squad_v2"}
# Rows that share one of these must be on the same side of a split.
DOCUMENT = ("title", "source", "context")
HELD_OUT = 0.2
BUILT_IN = "builtin/"
BUILT_IN_ROWS = 2000, 400

Table = Any  # datasets.Dataset, which has no type information
Row = dict[str, Any]
Limits = tuple[int, int]  # of training and validation rows


class TaskError(ValueError):
    """A proxy task cannot be used; the message says which, why, and what to do."""


def load_splits(name: str, seed: int) -> tuple[Table, Table]:
    """
    Training and validation rows of `glue/TASK`, `squad`, `squad_v2`, another data set on the Hub (`NAME` or
    `NAME:CONFIGURATION`) or a folder with files train.* and validation.* (or valid, val, dev; parquet, csv, tsv, json,
    jsonl, ndjson; also in shards `train-00000-of-00002.parquet`). If there is only one of the two, 20 % of it is held
    out: of the documents, if a column `title`, `source` or `context` names them, else of the rows. `builtin/TASK` is
    one of `builtin_text.TASKS`, generated from `seed` without any file, for trying out.
    """
    if name.startswith(BUILT_IN):
        return _built_in(name.removeprefix(BUILT_IN), seed)
    folder = Path(name)
    splits = _folder(folder) if folder.is_dir() else _hub(name)
    train, validation = (next((splits[key] for key in names if key in splits), None) for names in (TRAIN, VALIDATION))
    if train is not None and validation is not None:
        return train, validation
    only = validation if train is None else train
    if only is None:
        raise TaskError(f"The task {name} has the splits {', '.join(splits)}, but neither train nor validation.")
    return _split(name, only, seed)


def _built_in(task: str, seed: int) -> tuple[Table, Table]:
    import datasets

    if task not in builtin_text.TASKS:
        names = ", ".join(BUILT_IN + known for known in builtin_text.TASKS)
        raise TaskError(f"There is no task {BUILT_IN}{task}: choose one of {names}.")
    train, validation = (
        datasets.Dataset.from_list(builtin_text.task(task, rows, derive(seed, task, part)))
        for part, rows in enumerate(BUILT_IN_ROWS)
    )
    return train, validation


def _folder(folder: Path) -> dict[str, Table]:
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in TABLES:
            name = SHARD.sub("", file.stem.lower())
            side = next((names[0] for names in (TRAIN, VALIDATION) if name in names), name)
            found.setdefault(side, []).append(file)
    splits = {side: found[side] for side in (TRAIN[0], VALIDATION[0]) if side in found}
    if not splits:
        raise TaskError(
            f"The folder {folder} holds no task: put train and validation files ({', '.join(TABLES)}) there."
        )
    for side, files in splits.items():
        if len({SHARD.sub("", file.stem) + file.suffix for file in files}) > 1:
            named = ", ".join(file.name for file in files)
            raise TaskError(f"The folder {folder} has {side} rows in several files ({named}): leave one of them.")
    if unread := [file.name for name in found.keys() - {*splits, *UNUSED} for file in found[name]]:
        warnings.warn(
            f"Not read of the task {folder}: {', '.join(sorted(unread))}. What is read is called train and validation "
            "(or valid, val, dev).",
            stacklevel=2,
        )
    return {side: _read_files(files) for side, files in splits.items()}


def _read_files(files: Sequence[Path]) -> Table:
    kind = TABLES[files[0].suffix.lower()]
    if kind == "csv":
        return _read_csv(files)
    return _load(str(files[0]), kind, split="train", data_files=[glob.escape(str(file)) for file in files])


def _read_csv(files: Sequence[Path]) -> Table:
    """By pandas itself: `datasets` makes floats of whole numbers with gaps, and nothing of a text such as "NA"."""
    import datasets
    import pandas

    try:
        frames = []
        for file in files:
            options: Any = {"sep": "\t" if file.suffix.lower() == ".tsv" else ",", "keep_default_na": False}
            columns = pandas.read_csv(file, nrows=0, **options).columns
            missing = {column: [""] for column in columns} | {"label": [*NO_LABEL]}
            options |= {"na_values": missing, "dtype_backend": "numpy_nullable", "low_memory": False}
            frames.append(pandas.read_csv(file, **options))
        return datasets.Dataset.from_pandas(pandas.concat(frames, ignore_index=True), preserve_index=False)
    except (ValueError, OSError) as error:  # those of pandas, pyarrow and of text that is not UTF-8 are ValueErrors
        raise _unreadable(str(files[0]), error) from error


def _hub(name: str) -> dict[str, Table]:
    if name.startswith("glue/"):
        return dict(_load(name, "nyu-mll/glue", name=name.removeprefix("glue/")))
    path, _, configuration = name.partition(":")
    return dict(_load(name, SHORT_NAMES.get(path, path), name=configuration or None))


def _load(source: str, path: str, **options: str | list[str] | None) -> Table:
    # Imported only here: it takes a second, and runs without proxy tasks do not need it.
    import datasets

    try:
        return datasets.load_dataset(path, **options)
    except Exception as error:  # a dozen kinds: network, unknown name, broken file, no space on the disk
        raise _unreadable(source, error) from error


def _unreadable(source: str, error: Exception) -> TaskError:
    reason = " ".join(str(error.__cause__ or error).split())
    return TaskError(
        f"The task {source} cannot be loaded with `datasets` ({type(error).__name__}: {reason}): check its name, "
        "that the file is complete, or the network; a folder with the files needs no network."
    )


def _split(name: str, table: Table, seed: int) -> tuple[Table, Table]:
    column = next((column for column in DOCUMENT if column in table.column_names), None)
    documents = range(len(table)) if column is None else table[column][:]
    distinct = list(dict.fromkeys(documents))
    if len(distinct) < 2:
        raise TaskError(f"The task {name} has one file with a single document: give both train and validation files.")
    number = min(max(round(HELD_OUT * len(distinct)), 1), len(distinct) - 1)
    held_out = set(random.Random(derive(seed, "split", public_name(name))).sample(distinct, number))
    rows = {side: [i for i, document in enumerate(documents) if (document in held_out) == side] for side in (0, 1)}
    return table.select(rows[0]), table.select(rows[1])


def check_columns(name: str, tables: Sequence[Table], wanted: Sequence[str]) -> None:
    """Raises TaskError if the validation rows, the second of the `tables`, lack a column."""
    validation = tables[1].column_names
    if missing := [column for column in wanted if column not in validation]:
        raise TaskError(
            f"The validation rows of the task {name} have no column `{missing[0]}`, as the training rows have, only "
            f"{', '.join(validation)}: give both the same columns."
        )


def choose(table: Table, wanted: Sequence[int], limit: int, seed: int, *purpose: object) -> list[Row]:
    """At most `limit` of the `wanted` rows, the same ones for the same purpose, in their original order."""
    drawn = random.Random(derive(seed, *purpose)).sample(wanted, limit) if len(wanted) > limit else wanted
    return table.select(sorted(drawn)).to_list()
