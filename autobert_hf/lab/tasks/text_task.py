"""Classification and regression of one text or of a pair of texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.tasks.task_data import Limits, Row, Table, TaskError, choose
from autobert_hf.modeling.modeling_autobert import AutoBertForSequenceClassification


NO_TEXT = ("id", "idx", "title", "source")


@dataclass(frozen=True)
class TextTask:
    """
    Encoded rows (`input_ids`, `token_type_ids`, `labels`). Class labels are numbered 0, 1, ... in ascending order;
    values are scaled to mean 0 and variance 1 over the training rows, which does not change correlations.
    """

    name: str
    kind: str
    metrics: tuple[str, ...]
    num_labels: int
    train: list[Row]
    validation: list[Row]

    head = AutoBertForSequenceClassification

    @property
    def settings(self) -> dict[str, Any]:
        """Configuration fields of the head, in addition to the encoder's."""
        problem = "regression" if self.kind == "regression" else "single_label_classification"
        return {"num_labels": self.num_labels, "problem_type": problem}

    def score(self, outputs: Sequence[torch.Tensor]) -> float:
        """`outputs`: logits (num_labels,) of each validation row."""
        from autobert_hf.lab.tasks.metrics import score  # which imports `evaluate` and scikit-learn

        regression = self.kind == "regression"
        predictions = [(out[0] if regression else out.argmax()).item() for out in outputs]
        return score(self.kind, self.metrics, predictions, [row["labels"] for row in self.validation])


def read_text_task(
    name: str,
    metrics: tuple[str, ...],
    tables: Sequence[Table],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    limits: Limits,
    seed: int,
) -> TextTask:
    """`tables`: training and validation rows. Raises TaskError for labels that are missing or all the same."""
    kind = label_kind(name, tables[0])
    columns = text_columns(name, tables[0])
    wanted = [labelled(name, table, kind) for table in tables]
    rows = [
        choose(table, indices, limit, seed, "rows", name, part)
        for part, (table, indices, limit) in enumerate(zip(tables, wanted, limits, strict=True))
    ]
    for side, part in zip(("training", "validation"), rows, strict=True):
        if len({row["label"] for row in part}) < 2:
            raise TaskError(
                f"All {len(part)} {side} rows of the task {name} have the label {part[0]['label']}: there is nothing "
                "to distinguish. Give rows with at least two labels."
            )
    classes = _classes(tables, wanted) if kind == "classification" else {}
    label_of = classes.__getitem__ if classes else _standard([row["label"] for row in rows[0]])
    encoded = [_encode(part, columns, tokenizer, length) for part in rows]
    for new, old in zip(encoded, rows, strict=True):
        for row, source in zip(new, old, strict=True):
            row["labels"] = label_of(source["label"])
    return TextTask(name, kind, metrics, len(classes) or 1, *encoded)


def label_kind(name: str, table: Table) -> str:
    """The kind of task by the type of column `label`: integers are classes, floats are values."""
    if "label" not in table.column_names:
        raise TaskError(
            f"The task {name} has no labels: there is no column `label` among {', '.join(table.column_names)}."
        )
    dtype = _dtype(table.features["label"])
    if dtype.startswith("float"):
        return "regression"
    if dtype.startswith(("int", "uint", "bool")):
        return "classification"
    if dtype == "null":
        raise TaskError(f"The task {name} has no labels: the column `label` is empty. Name a split that has some.")
    raise TaskError(
        f"The labels of the task {name} are {dtype}: number the classes 0, 1, ..., or give floats for a regression."
    )


def text_columns(name: str, table: Table) -> list[str]:
    texts = [column for column, feature in table.features.items() if _dtype(feature) in ("string", "large_string")]
    texts = [column for column in texts if column not in NO_TEXT]
    if len(texts) not in (1, 2):
        raise TaskError(
            f"The task {name} has {len(texts)} columns of text ({', '.join(texts) or 'none'}): leave one, or two for "
            f"pairs ({', '.join(NO_TEXT)} do not count)."
        )
    return texts


def _dtype(feature: object) -> str:
    return str(getattr(feature, "dtype", "nested values"))


def labelled(name: str, table: Table, kind: str) -> list[int]:
    """Indices of the rows with a label, that is, not None, NaN or, for classes, -1 (GLUE's hidden test labels)."""
    missing = (None,) if kind == "regression" else (None, -1)
    labels = table["label"][:]
    rows = [index for index, label in enumerate(labels) if label not in missing and label == label]
    if not rows:
        raise TaskError(f"The task {name} has no labels: all of them are missing or -1. Name a split that has some.")
    return rows


def _classes(tables: Sequence[Table], wanted: Sequence[Sequence[int]]) -> dict[int, int]:
    """Class numbers by label, from all data rather than the drawn rows: the head is the same for every limit."""
    labels = {label for table, rows in zip(tables, wanted, strict=True) for label in table.select(rows)["label"][:]}
    return {label: number for number, label in enumerate(sorted(labels))}


def _standard(values: Sequence[float]) -> Callable[[float], float]:
    mean, deviation = fmean(values), stdev(values)
    return lambda value: (value - mean) / deviation


def _encode(rows: Sequence[Row], columns: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[Row]:
    encoded = tokenizer(
        *([row[column] or "" for row in rows] for column in columns),
        truncation=True,
        max_length=length,
        split_special_tokens=True,  # "[MASK]" in a text is just text
        return_token_type_ids=True,
        return_attention_mask=False,
    )
    both = zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
    return [{"input_ids": ids, "token_type_ids": types} for ids, types in both]
