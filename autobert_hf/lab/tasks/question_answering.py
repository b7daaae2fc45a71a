"""Extractive question answering as in SQuAD 1.1 and 2.0: windows over long texts, answer spans from logits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.tasks.task_data import Limits, Row, Table, TaskError, check_columns, choose
from autobert_hf.modeling.modeling_autobert import AutoBertForQuestionAnswering


COLUMNS = ("question", "context", "answers")
BEST = 20  # number of best starts and ends that are combined
LONGEST_ANSWER = 30  # tokens, as in BERT
# Tolerated share of wrong answer positions, whose rows are left out: published data have a few.
MISPLACED = 0.01


@dataclass(frozen=True)
class QuestionTask:
    """
    One encoded row per window: `input_ids`, `token_type_ids`, `start_positions`, `end_positions` (0, 0 if the
    answer is not inside), `example` and `spans`, the position of each token in the text (None outside of it).
    """

    name: str
    metrics: tuple[str, ...]
    no_answers: bool
    train: list[Row]
    validation: list[Row]
    examples: list[Row]

    kind = "question answering"
    head = AutoBertForQuestionAnswering

    @property
    def settings(self) -> dict[str, Any]:
        return {"num_labels": 2}

    def score(self, outputs: Sequence[torch.Tensor]) -> float:
        """`outputs`: start and end logits (tokens, 2) of each window."""
        from autobert_hf.lab.tasks.metrics import score  # which imports `evaluate` and scikit-learn

        said = self.answers(outputs)
        predictions = [said[index] for index in range(len(self.examples))]
        return score(self.kind, self.metrics, predictions, [row["answers"]["text"] for row in self.examples])

    def answers(self, outputs: Sequence[torch.Tensor]) -> dict[int, str]:
        """
        For each example the best span of all its windows. The answer is empty if questions without answers exist and
        [CLS], as both start and end, has a higher sum of logits than the best span in every window.
        """
        nothing = (-float("inf"), "")
        best: dict[int, tuple[float, str]] = defaultdict(lambda: nothing)
        null: dict[int, float] = defaultdict(lambda: float("inf"))
        for window, logits in zip(self.validation, outputs, strict=True):
            example = window["example"]
            best[example] = max(best[example], best_span(logits, window, self.examples[example]["context"]))
            null[example] = min(null[example], logits[0].sum().item())
        return {
            example: "" if self.no_answers and null[example] > value else text
            for example, (value, text) in best.items()
        }


def best_span(logits: torch.Tensor, window: Row, context: str) -> tuple[float, str]:
    """Score (start logit + end logit) and text of the best span inside the text; (-inf, "") if there is none."""
    inside = torch.tensor([span is not None for span in window["spans"]])
    scores = logits.masked_fill(~inside[:, None], -float("inf"))
    values, indices = scores.topk(min(BEST, len(scores)), dim=0)
    sums = values[:, 0, None] + values[None, :, 1]
    lengths = indices[None, :, 1] - indices[:, 0, None] + 1
    sums[(lengths < 1) | (lengths > LONGEST_ANSWER)] = -float("inf")
    start, end = divmod(int(sums.argmax()), sums.shape[1])
    if sums[start, end] == -float("inf"):
        return -float("inf"), ""
    first, last = (window["spans"][indices[place, side]] for place, side in ((start, 0), (end, 1)))
    return sums[start, end].item(), context[first[0] : last[1]]


def read_question_task(
    name: str,
    metrics: tuple[str, ...],
    tables: Sequence[Table],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    limits: Limits,
    seed: int,
) -> QuestionTask:
    """
    `tables`: training and validation rows.

    Raises:
        TaskError: for answers that are not as SQuAD has them, or not at their stated position.
    """
    if not tokenizer.is_fast:
        raise TaskError(f"The task {name} needs a tokenizer with token offsets: use a fast one.")
    check_columns(name, tables, COLUMNS)
    train, examples = (
        [_complete(row) for row in choose(table, _answered(name, table), limit, seed, "rows", name, part)]
        for part, (table, limit) in enumerate(zip(tables, limits, strict=True))
    )
    for side, part in (("training", train), ("validation", examples)):
        if not any(row["answers"]["text"] for row in part):
            raise TaskError(f"The task {name} has no answers in its {side} rows: name a split that has some.")
    no_answers = not all(row["answers"]["text"] for row in train + examples)
    windows, questions = (encode(part, tokenizer, length) for part in (_well_placed(name, train), examples))
    return QuestionTask(name, metrics, no_answers, windows, questions, examples)


def _answered(name: str, table: Table) -> Sequence[int]:
    """Indices of the rows with answers, which may be none; of a row without them nobody knows."""
    given = {index: answers for index, answers in enumerate(table["answers"][:]) if answers is not None}
    for index, answers in given.items():
        if not _as_squad(answers):
            raise TaskError(
                f"The answers in row {index} of the task {name} are {str(answers)[:80]}: give them as SQuAD has them, "
                "{'text': ['Paris'], 'answer_start': [17]}, and empty lists where there is no answer."
            )
    return [*given]


def _as_squad(answers: object) -> bool:
    given = answers if isinstance(answers, dict) else {}
    texts, starts = given.get("text"), given.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        return False
    return all(isinstance(text, str) for text in texts) and all(isinstance(start, int) for start in starts)


def _complete(row: Row) -> Row:
    return row | {"question": row["question"] or "", "context": row["context"] or ""}


def _well_placed(name: str, rows: Sequence[Row]) -> list[Row]:
    good = [row for row in rows if _stands(row)]
    if len(rows) - len(good) > MISPLACED * len(rows):
        bad = next(row for row in rows if not _stands(row))
        start, text = bad["answers"]["answer_start"][0], bad["answers"]["text"][0]
        raise TaskError(
            f"{len(rows) - len(good)} of {len(rows)} answers of the task {name} are not at their answer_start: "
            f"{text!r} is not at character {start} of {bad['context'][:40]!r}... Count characters, not bytes, from 0."
        )
    return good


def _stands(row: Row) -> bool:
    both = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
    return all(row["context"].startswith(text, start) for text, start in both)


def encode(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, length: int) -> list[Row]:
    """Windows of `length` tokens that overlap by a quarter; questions are cut to a third of the length."""
    encoded = tokenizer(
        [_shortened(row["question"], tokenizer, length // 3) for row in rows],
        [row["context"] for row in rows],
        truncation="only_second",
        max_length=length,
        stride=length // 4,
        split_special_tokens=True,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        return_attention_mask=False,
    )
    windows = []
    for index, example in enumerate(encoded["overflow_to_sample_mapping"]):
        parts = encoded.sequence_ids(index)
        offsets = zip(encoded["offset_mapping"][index], parts, strict=True)
        spans = [span if part == 1 else None for span, part in offsets]
        start, end = _target(spans, rows[example]["answers"])
        windows.append(
            {
                "input_ids": encoded["input_ids"][index],
                "token_type_ids": encoded["token_type_ids"][index],
                "start_positions": start,
                "end_positions": end,
                "example": example,
                "spans": spans,
            }
        )
    return windows


def _shortened(question: str, tokenizer: PreTrainedTokenizerBase, tokens: int) -> str:
    offsets = tokenizer(
        question, add_special_tokens=False, return_offsets_mapping=True, truncation=True, max_length=tokens
    )["offset_mapping"]
    return question[: offsets[-1][1]].lstrip() if offsets else ""


def _target(spans: Sequence[tuple[int, int] | None], answers: Mapping[str, Sequence[Any]]) -> tuple[int, int]:
    """First and last token of the first answer; (0, 0) if the window does not contain all of it."""
    if not answers["text"]:
        return 0, 0
    text = answers["text"][0]
    begin = answers["answer_start"][0] + len(text) - len(text.lstrip())
    stop = begin + len(text.strip())
    touched = [index for index, span in enumerate(spans) if span and span[0] < stop and span[1] > begin]
    if not touched:
        return 0, 0
    first, last = spans[touched[0]], spans[touched[-1]]
    assert first and last
    whole = first[0] <= begin and last[1] >= stop
    return (touched[0], touched[-1]) if whole else (0, 0)
