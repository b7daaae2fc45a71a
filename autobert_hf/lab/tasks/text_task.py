"""Classification and regression of one text or of a pair of texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.tasks.labelled_tables import check_distinct, labelled_tables
from autobert_hf.lab.tasks.task_data import Limits, Row, Table, choose
from autobert_hf.modeling.modeling_autobert import AutoBertForSequenceClassification


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
    """
    `tables`: training and validation rows.

    Raises:
        TaskError: for columns that are missing, and labels that are missing or all the same.
    """
    data = labelled_tables(name, tables)
    rows = [
        choose(table, range(len(table)), limit, seed, "rows", name, part)
        for part, (table, limit) in enumerate(zip(data.tables, limits, strict=True))
    ]
    for side, part in zip(("training", "validation"), rows, strict=True):
        check_distinct(name, side, [row["label"] for row in part])
    regression = data.kind == "regression"
    label_of = _standard([row["label"] for row in rows[0]]) if regression else int
    encoded = [_encode(part, data.columns, tokenizer, length) for part in rows]
    for new, old in zip(encoded, rows, strict=True):
        for row, source in zip(new, old, strict=True):
            row["labels"] = label_of(source["label"])
    return TextTask(name, data.kind, metrics, data.num_labels, *encoded)


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
