"""Loads the rows of a proxy task: from a folder of files, a data set on the Hub, or the built-in grammar."""

import glob
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autobert_hf.lab.data import builtin_text
from autobert_hf.lab.data.documents import TABLES
from autobert_hf.lab.data.inputs import public_name
from autobert_hf.records.seeds import derive


VALIDATION = ("validation", "validation_matched")
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
    `NAME:CONFIGURATION`) or a folder with files train.* and validation.* (or validation_matched.*; parquet, csv, json,
    jsonl). If there is only one of the two, 20 % of it is held out: of the documents, if a column `title`, `source` or
    `context` names them, else of the rows. `builtin/TASK` is one of `builtin_text.TASKS`, generated from `seed`
    without any file, for trying out.
    """
    if name.startswith(BUILT_IN):
        return _built_in(name.removeprefix(BUILT_IN), seed)
    folder = Path(name)
    splits = _folder(folder) if folder.is_dir() else _hub(name)
    validation = next((splits[key] for key in VALIDATION if key in splits), None)
    if "train" in splits and validation is not None:
        return splits["train"], validation
    only = splits.get("train", validation)
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
    files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in TABLES}
    found = {name: files[name] for name in ("train", *VALIDATION) if name in files}
    if not found:
        raise TaskError(
            f"The folder {folder} holds no task: put train and validation files (.parquet, .csv, .json, .jsonl) there."
        )
    return {
        name: _load(str(file), TABLES[file.suffix.lower()], split="train", data_files=glob.escape(str(file)))
        for name, file in found.items()
    }


def _hub(name: str) -> dict[str, Table]:
    if name.startswith("glue/"):
        return dict(_load(name, "nyu-mll/glue", name=name.removeprefix("glue/")))
    path, _, configuration = name.partition(":")
    return dict(_load(name, SHORT_NAMES.get(path, path), name=configuration or None))


def _load(source: str, path: str, **options: str | None) -> Table:
    # Imported only here: it takes a second, and runs without proxy tasks do not need it.
    import datasets

    try:
        return datasets.load_dataset(path, **options)
    except Exception as error:  # a dozen kinds: network, unknown name, broken file, no space on the disk
        reason = " ".join(str(error.__cause__ or error).split())
        raise TaskError(
            f"The task {source} cannot be loaded with `datasets` ({type(error).__name__}: {reason}): check its name, "
            "that the file is complete, or the network; a folder with the files needs no network."
        ) from error


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


def choose(table: Table, wanted: Sequence[int], limit: int, seed: int, *purpose: object) -> list[Row]:
    """At most `limit` of the `wanted` rows, the same ones for the same purpose, in their original order."""
    drawn = random.Random(derive(seed, *purpose)).sample(wanted, limit) if len(wanted) > limit else wanted
    return table.select(sorted(drawn)).to_list()
