"""Tables of labelled texts: which columns are texts, what the labels mean, and which rows have one."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autobert_hf.lab.tasks.task_data import Row, Table, TaskError, check_columns


# Columns of strings that are no texts, by name.
NO_TEXT = ("id", "idx", "guid", "uid", "uuid", "title", "source")
HIDDEN = -1  # the label of GLUE's test rows


@dataclass(frozen=True)
class LabelledTables:
    """
    Training and validation rows that have a label, in the column `label`: values, or class numbers 0, 1, ..., which
    `classes` gives for the labels of the data. Rows of both tables have the texts in `columns`, which may be None.
    """

    kind: str
    columns: list[str]
    tables: list[Table]
    classes: Mapping[int, int] = field(default_factory=dict)

    @property
    def num_labels(self) -> int:
        return len(self.classes) or 1

    @property
    def head_settings(self) -> dict[str, Any]:
        """Configuration fields of a head that answers with the labels of the data, not with the numbers of classes."""
        if not self.classes:
            return {"num_labels": 1, "problem_type": "regression"}
        names = {number: str(label) for label, number in self.classes.items()}
        return {"id2label": names, "label2id": {name: number for number, name in names.items()}}

    def texts(self, row: Row) -> list[str]:
        """What the tokenizer reads of a row: a missing text is an empty one."""
        return [row[column] or "" for column in self.columns]


def labelled_tables(name: str, tables: Sequence[Table]) -> LabelledTables:
    """
    `tables`: training and validation rows, of which those without a label are left out. Classes are numbered in
    ascending order of the labels of both tables, so that no row has a class that the head does not have.

    Raises:
        TaskError: for columns that are missing, and labels of which nothing can be learned.
    """
    kind, columns = label_kind(name, tables[0]), text_columns(name, tables[0])
    check_columns(name, tables, [*columns, "label"])
    rows = [_labels(name, table, kind) for table in tables]
    for side, labels in zip(("training", "validation"), rows, strict=True):
        check_distinct(name, side, [*labels.values()])
    if kind == "regression":
        return LabelledTables(kind, columns, [_relabelled(*both) for both in zip(tables, rows, strict=True)])
    known = sorted({int(label) for labels in rows for label in labels.values()})
    classes = {label: number for number, label in enumerate(known)}
    numbered = [{row: classes[int(label)] for row, label in labels.items()} for labels in rows]
    return LabelledTables(kind, columns, [_relabelled(*both) for both in zip(tables, numbered, strict=True)], classes)


def label_kind(name: str, table: Table) -> str:
    """
    The kind of task by the column `label`: whole numbers are classes, others values. Whole numbers of a column with
    gaps are classes too where they are stored as floats, as pandas does with them.
    """
    if "label" not in table.column_names:
        raise TaskError(
            f"The task {name} has no labels: there is no column `label` among {', '.join(table.column_names)}."
        )
    dtype = _dtype(table.features["label"])
    if dtype.startswith("float"):
        return _kind_of_floats(name, table)
    if dtype.startswith(("int", "uint", "bool")):
        return "classification"
    if dtype == "null":
        raise TaskError(f"The task {name} has no labels: the column `label` is empty. Name a split that has some.")
    raise TaskError(
        f"The labels of the task {name} are {dtype}: number the classes 0, 1, ..., or give floats for a regression."
    )


def _kind_of_floats(name: str, table: Table) -> str:
    labels = table["label"][:]
    given = [label for label in labels if not _is_missing(label)]
    if len(given) == len(labels) or not given or not all(map(float.is_integer, given)):
        return "regression"
    warnings.warn(
        f"The labels of the task {name} are whole numbers, {len(labels) - len(given)} of them missing: they are taken "
        "as classes. If they are values, remove the rows without a label.",
        stacklevel=2,
    )
    return "classification"


def text_columns(name: str, table: Table) -> list[str]:
    """One column of texts, or two of pairs. Identifiers, by their name or by what they look like, do not count."""
    texts = [column for column, feature in table.features.items() if _dtype(feature) in ("string", "large_string")]
    texts = [column for column in texts if column.lower() not in NO_TEXT]
    if len(texts) > 1:
        texts = [column for column in texts if not _identifies(table[column][:])]
    if len(texts) not in (1, 2):
        raise TaskError(
            f"The task {name} has {len(texts)} columns of text ({', '.join(texts) or 'none'}): leave one, or two for "
            f"pairs ({', '.join(NO_TEXT)} do not count)."
        )
    return texts


def _identifies(values: Sequence[str | None]) -> bool:
    """Whether these are all different and no texts: ASCII with a digit in it and without white space."""
    given = [value for value in values if value]
    return len(set(given)) == len(given) and all(
        value.isascii() and len(value.split()) == 1 and any(map(str.isdigit, value)) for value in given
    )


def _dtype(feature: object) -> str:
    return str(getattr(feature, "dtype", "nested values"))


def check_distinct(name: str, side: str, labels: Sequence[float]) -> None:
    """Raises TaskError if all labels of the `side` are the same."""
    if len(set(labels)) < 2:
        raise TaskError(
            f"All {len(labels)} {side} rows of the task {name} have the label {labels[0]}: there is nothing to "
            "distinguish. Give rows with at least two labels."
        )


def _labels(name: str, table: Table, kind: str) -> dict[int, float]:
    """The label of each row that has one."""
    given = {row: label for row, label in enumerate(table["label"][:]) if not _is_missing(label)}
    labels = dict(_numbers(name, given))
    if kind == "classification":
        if wrong := [label for label in labels.values() if not float(label).is_integer()]:
            raise TaskError(
                f"The training labels of the task {name} are classes, but one of the validation rows has the label "
                f"{wrong[0]}: give whole numbers in both, or floats in both."
            )
        labels = {row: label for row, label in labels.items() if label != HIDDEN}
    if not labels:
        raise TaskError(f"The task {name} has no labels: all of them are missing or -1. Name a split that has some.")
    if hidden := len(given) - len(labels):
        warnings.warn(
            f"{hidden} of {len(table)} rows of the task {name} have the label -1, which means a hidden one: they are "
            "left out. If it is a class, number the classes 0, 1, ...",
            stacklevel=2,
        )
    return labels


def _numbers(name: str, given: Mapping[int, object]) -> Iterator[tuple[int, float]]:
    for row, label in given.items():
        if not isinstance(label, bool | int | float):
            raise TaskError(
                f"The label {label!r} in row {row} of the task {name} is no number, as those of the training rows are."
            )
        if math.isinf(label):
            raise TaskError(f"The label in row {row} of the task {name} is {label}: give a finite number, or none.")
        yield row, label


def _is_missing(label: object) -> bool:
    return label is None or label != label


def _relabelled(table: Table, labels: Mapping[int, float]) -> Table:
    return table.select([*labels]).remove_columns("label").add_column("label", [*labels.values()])
