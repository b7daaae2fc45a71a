"""Windows hold the answer where it is, and the best span of all windows is the answer."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.tasks.proxy_task import load_task
from autobert_hf.lab.tasks.question_answering import LONGEST_ANSWER, QuestionTask, encode
from autobert_hf.lab.tasks.task_data import TaskError


CONTEXT = " ".join(f"w{number}" for number in range(40))


def question(words: str, index: int = 0, context: str = CONTEXT) -> dict[str, Any]:
    texts, starts = ([words], [context.index(words)]) if words else ([], [])
    answers = {"text": texts, "answer_start": starts}
    return {"id": str(index), "title": f"t{index}", "question": "w50 w51", "context": context, "answers": answers}


def save(folder: Path, **files: list[dict[str, Any]]) -> str:
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder)


def task_of(folder: Path, tokenizer: BertTokenizer, *rows: dict[str, Any]) -> QuestionTask:
    task = load_task(save(folder, train=list(rows), validation=list(rows)), tokenizer, 16)
    assert isinstance(task, QuestionTask)
    return task


def perfect(task: QuestionTask) -> list[torch.Tensor]:
    """Logits of a network that knows the target of each window, and how sure one can be of it."""
    outputs = []
    for window in task.validation:
        start, end = window["start_positions"], window["end_positions"]
        logits = torch.zeros(len(window["input_ids"]), 2)
        logits[start, 0] = logits[end, 1] = 5.0 if end else 3.0
        outputs.append(logits)
    return outputs


def test_windows_overlap_and_cover_the_context(tokenizer: BertTokenizer) -> None:
    windows = encode([question("w20 w21")], tokenizer, 16)
    seen = [[CONTEXT[slice(*span)] for span in window["spans"] if span] for window in windows]
    assert all(len(window["input_ids"]) <= 16 for window in windows)
    assert seen[0][-4:] == seen[1][:4], "a quarter of 16"
    assert set(sum(seen, [])) == set(CONTEXT.split())
    inside = [window for window in windows if window["end_positions"]]
    assert inside
    for window in inside:
        ids = window["input_ids"][window["start_positions"] : window["end_positions"] + 1]
        assert tokenizer.decode(ids) == "w20 w21"
    assert all(("w20" in words and "w21" in words) == (w in inside) for words, w in zip(seen, windows, strict=True))


def test_a_long_question_leaves_room_for_the_context(tokenizer: BertTokenizer) -> None:
    row = question("w3") | {"question": "w50 " * 100}
    windows = encode([row], tokenizer, 16)
    assert tokenizer.decode(windows[0]["input_ids"]).count("w50") == 5
    assert any(window["end_positions"] for window in windows)


def test_an_answer_with_a_space_before_it_is_found(tokenizer: BertTokenizer) -> None:
    assert any(window["end_positions"] for window in encode([question(" w3 w4 ")], tokenizer, 16))


def test_who_knows_the_windows_answers_everything(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    answers = ["w0", "w20 w21", "w7 w8 w9", "w39"]
    task = task_of(tmp_path, tokenizer, *(question(words, index) for index, words in enumerate(answers)))
    assert (task.kind, task.metrics, task.no_answers) == ("question answering", ("f1",), False)
    assert list(task.answers(perfect(task)).values()) == answers
    assert task.score(perfect(task)) == 1.0
    nonsense = [torch.zeros_like(logits) for logits in perfect(task)]
    assert task.score(nonsense) < 0.5


def test_no_answer_wins_where_no_window_is_surer(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    task = task_of(tmp_path, tokenizer, question("w20 w21", 0), question("", 1), question("w5", 2))
    assert task.no_answers
    assert task.answers(perfect(task)) == {0: "w20 w21", 1: "", 2: "w5"}
    assert task.score(perfect(task)) == 1.0
    surer_of_nothing = perfect(task)
    for logits in surer_of_nothing:
        logits[0] += 20.0
    assert set(task.answers(surer_of_nothing).values()) == {""}
    assert task.score(surer_of_nothing) == pytest.approx(1 / 3)


def test_without_such_questions_there_is_always_an_answer(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    task = task_of(tmp_path, tokenizer, question("w20 w21", 0), question("w5", 1))
    sure_of_nothing = perfect(task)
    for logits in sure_of_nothing:
        logits[0] += 20.0
    assert task.answers(sure_of_nothing) == {0: "w20 w21", 1: "w5"}


def test_spans_end_after_they_begin_lie_in_the_text_and_are_short(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    rows = [question("w5", 0), question("w6", 1)]
    task = load_task(save(tmp_path, train=rows, validation=rows), tokenizer, 64)
    assert isinstance(task, QuestionTask)
    assert len(task.validation) == 2, "one window each"
    first = task.validation[0]["spans"].index((0, 2))
    logits = torch.zeros(len(task.validation[0]["input_ids"]), 2)
    logits[1] = 9.0  # the question
    logits[first + 9, 0] = logits[first + 2, 1] = 5.0  # backwards
    logits[first + 8, 0] = logits[first + 9, 1] = 2.0
    assert task.answers([logits, logits])[0] == "w9", "start 9 and any end behind it beat 8 to 9"
    far = torch.zeros_like(logits)
    far[first, 0] = far[first + LONGEST_ANSWER, 1] = 5.0
    words = task.answers([far, far])[0].split()
    assert len(words) <= LONGEST_ANSWER
    far[first + LONGEST_ANSWER - 1, 1] = 6.0
    assert len(task.answers([far, far])[0].split()) == LONGEST_ANSWER


@pytest.mark.parametrize(
    "answers",
    [
        "w5",
        [{"text": "w5", "answer_start": 3}],
        {"text": "w5", "answer_start": 3},
        {"text": ["w5"], "answer_start": []},
        {"text": ["w5"]},
        {"text": [5], "answer_start": [3]},
    ],
)
def test_answers_of_another_form_are_refused(tmp_path: Path, tokenizer: BertTokenizer, answers: object) -> None:
    with pytest.raises(TaskError, match="The answers in row 0 of the task .*: give them as SQuAD has them"):
        task_of(tmp_path, tokenizer, *(question("w5", index) | {"answers": answers} for index in range(6)))


def test_wrong_positions_and_missing_answers_are_refused(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    rows = [question(f"w{number}", number) for number in range(5)]
    bad = question("w5 w6", 5)
    bad["answers"]["answer_start"] = [3]
    with pytest.raises(TaskError, match=r"1 of 6 answers .* answer_start: 'w5 w6' is not at character 3 of 'w0 w1"):
        load_task(save(tmp_path, train=[*rows, bad], validation=rows), tokenizer, 16)
    with pytest.raises(TaskError, match="has no answers in its validation rows"):
        load_task(save(tmp_path, train=rows, validation=[question("", 0)]), tokenizer, 16)


def test_gaps_and_other_columns(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    rows = [question(f"w{number}", number) for number in range(5)]
    gaps = [question("", 5) | {"context": None}, question("w5", 6) | {"answers": None}]
    task = load_task(save(tmp_path, train=rows + gaps, validation=rows), tokenizer, 16)
    assert {window["example"] for window in task.train} == set(range(6)), "of unknown answers nothing can be learned"
    other = [{"question": "w1", "context": "w2", "label": 1}]
    with pytest.raises(TaskError, match="validation rows of the task .* have no column `answers`"):
        load_task(save(tmp_path, train=rows, validation=other), tokenizer, 16)


def test_one_wrong_position_in_a_hundred_is_left_out(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    rows = [question("w7", number) for number in range(99)]
    bad = question("w8", 99)
    bad["answers"]["answer_start"] = [0]
    task = load_task(save(tmp_path, train=[*rows, bad], validation=rows[:2]), tokenizer, 64)
    assert len(task.train) == 99


def test_one_file_is_split_by_title(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    rows = [question(f"w{number}", number // 3) for number in range(30)]
    task = load_task(save(tmp_path, validation=rows), tokenizer, 64)
    assert isinstance(task, QuestionTask)
    assert len(task.examples) == 6
    held_out = {row["title"] for row in task.examples}
    assert len(held_out) == 2
    assert len(task.train) == 24
