"""What a task is follows from its columns; what is wrong with it is said in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.tasks.metrics import score
from autobert_hf.lab.tasks.proxy_task import load_task
from autobert_hf.lab.tasks.task_data import TaskError
from autobert_hf.lab.tasks.text_task import TextTask


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(**files: list[dict[str, Any]]) -> str:
        for name, rows in files.items():
            (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return str(tmp_path)

    return write


def reviews(number: int, labels: tuple[Any, ...] = (0, 1)) -> list[dict[str, Any]]:
    return [
        {"sentence": f"w{row % 55} w{row % 7} [MASK]", "label": labels[row % len(labels)], "idx": row}
        for row in range(number)
    ]


def test_one_text_with_classes(write: Write, tokenizer: BertTokenizer) -> None:
    task = load_task(write(train=reviews(10), validation=reviews(4)), tokenizer, 8)
    assert isinstance(task, TextTask)
    assert (task.kind, task.metrics, task.num_labels) == ("classification", ("accuracy",), 2)
    assert [row["labels"] for row in task.validation] == [0, 1, 0, 1]
    assert tokenizer.decode(task.train[3]["input_ids"]) == "[CLS] w3 w3 [UNK] [UNK] [UNK] [SEP]"
    assert tokenizer.mask_token_id not in task.train[3]["input_ids"], "[MASK] in a text is just text"


def test_the_same_folder_elsewhere_is_the_same_task(
    write: Write, tokenizer: BertTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, which names a score, and by the rows that are drawn; a path says something of the machine."""
    write(train=reviews(60))
    tasks = []
    for place in ("here", "there"):
        folder = tmp_path / place / "reviews"
        folder.mkdir(parents=True)
        (folder / "train.jsonl").write_text((tmp_path / "train.jsonl").read_text())
        tasks.append(load_task(str(folder), tokenizer, 8, train_rows=20))
    monkeypatch.chdir(tmp_path / "here")
    tasks.append(load_task("reviews", tokenizer, 8, train_rows=20))
    assert {task.name for task in tasks} == {"reviews"}
    assert tasks[0] == tasks[1] == tasks[2]


def test_pairs_are_cut_to_the_length_and_have_two_types(write: Write, tokenizer: BertTokenizer) -> None:
    rows = [{"premise": "w1 " * 9, "hypothesis": "w2 " * row, "label": row % 3} for row in range(6)]
    task = load_task(write(train=rows, validation_matched=rows), tokenizer, 10)
    assert task.num_labels == 3
    assert max(len(row["input_ids"]) for row in task.train) == 10
    assert tokenizer.decode(task.train[2]["input_ids"]) == "[CLS] w1 w1 w1 w1 w1 [SEP] w2 w2 [SEP]"
    assert task.train[2]["token_type_ids"] == [0] * 7 + [1] * 3


def test_floats_are_values_of_mean_0_and_variance_1(write: Write, tokenizer: BertTokenizer) -> None:
    task = load_task(write(train=reviews(9, (0.5, 2.5, 5.0)), validation=reviews(4, (0.5, 4.5))), tokenizer, 8)
    assert (task.kind, task.metrics, task.num_labels) == ("regression", ("spearman",), 1)
    labels = torch.tensor([row["labels"] for row in task.train])
    assert labels.mean().item() == pytest.approx(0, abs=1e-6)
    assert labels.std().item() == pytest.approx(1)
    assert task.train[0]["labels"] == pytest.approx(task.validation[0]["labels"])


def test_classes_are_numbered_in_order_and_rows_without_a_label_left_out(
    write: Write, tokenizer: BertTokenizer
) -> None:
    folder = write(train=reviews(12, (7, -1, 3, None)), validation=reviews(4, (3, 7)))
    task = load_task(folder, tokenizer, 8)
    assert task.num_labels == 2
    assert [row["labels"] for row in task.train] == [1, 0] * 3
    assert [row["labels"] for row in task.validation] == [0, 1] * 2


def test_limits_draw_the_same_rows_for_a_seed(write: Write, tokenizer: BertTokenizer) -> None:
    folder = write(train=reviews(50), validation=reviews(50))
    tasks = [load_task(folder, tokenizer, 8, 20, 10, seed) for seed in (1, 1, 2)]
    assert [(len(task.train), len(task.validation)) for task in tasks] == [(20, 10)] * 3
    assert tasks[0] == tasks[1]
    assert tasks[0].train != tasks[2].train


def test_one_file_is_split_by_document(write: Write, tokenizer: BertTokenizer) -> None:
    rows = [row | {"title": f"t{number // 10}"} for number, row in enumerate(reviews(50))]
    task = load_task(write(validation=rows), tokenizer, 8)
    sizes = (len(task.train), len(task.validation))
    assert sizes == (40, 10)
    start = tokenizer.decode(task.validation[0]["input_ids"][1:2])
    documents = {f"w{number}" for number in range(0, 50, 10)}
    assert start in documents, "a whole title, from its first row"
    assert load_task(write(validation=rows), tokenizer, 8) == task


def test_a_metric_by_name(write: Write, tokenizer: BertTokenizer) -> None:
    folder = write(train=reviews(10), validation=reviews(4))
    task = load_task(f"{folder}@matthews_correlation+accuracy", tokenizer, 8)
    outputs = [torch.tensor([0.0, sign]) for sign in (-1, 1, 1, 1)]
    expected = score("classification", ["matthews_correlation", "accuracy"], [0, 1, 1, 1], [0, 1, 0, 1])
    assert task.score(outputs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "labels", "metrics"),
    [
        ("sst2", (0, 1), ("accuracy",)),
        ("cola", (0, 1), ("matthews_correlation",)),
        ("mrpc", (0, 1), ("accuracy", "f1")),
        ("stsb", (0.0, 2.5), ("spearman",)),
    ],
)
def test_glue_comes_from_the_hub_with_its_own_metrics(
    monkeypatch: pytest.MonkeyPatch, tokenizer: BertTokenizer, name: str, labels: tuple, metrics: tuple[str, ...]
) -> None:
    asked = []

    def load(path: str, name: str | None) -> dict[str, datasets.Dataset]:
        asked.append((path, name))
        rows = datasets.Dataset.from_list(reviews(6, labels))
        hidden = datasets.Dataset.from_list(reviews(6, (-1,)))
        return {"train": rows, "validation_matched": rows, "validation_mismatched": hidden, "test": hidden}

    monkeypatch.setattr(datasets, "load_dataset", load)
    task = load_task(f"glue/{name}", tokenizer, 8)
    assert asked == [("nyu-mll/glue", name)]
    assert task.metrics == metrics


def test_what_is_wrong_is_said(write: Write, tokenizer: BertTokenizer, tmp_path: Path) -> None:
    good = reviews(6)

    def refuses(reason: str, suffix: str = "", **files: list[dict[str, Any]]) -> None:
        with pytest.raises(TaskError, match=reason) as it:
            load_task(write(**files) + suffix, tokenizer, 8)
        assert "\n" not in str(it.value)

    refuses("holds no task: put train and validation files")
    refuses("holds no task", other=good)
    refuses("cannot be loaded .*: check its name, that the file is complete", "/nothing/here")
    refuses("no labels: there is no column `label` among sentence", train=[{"sentence": "w1"}], validation=good)
    refuses("no labels: all of them are missing or -1", train=reviews(6, (-1,)), validation=good)
    refuses("no labels: all of them are missing or -1", train=good, validation=reviews(6, (-1,)))
    refuses("no labels: the column `label` is empty", train=reviews(6, (None,)), validation=good)
    refuses("All 6 training rows .* have the label 1: there is nothing", train=reviews(6, (1,)), validation=good)
    refuses("All 6 validation rows .* have the label 0", train=good, validation=reviews(6, (0,)))
    refuses("labels of the task .* are string: number the classes", train=reviews(6, ("a", "b")), validation=good)
    refuses(
        "0 columns of text \\(none\\): leave one, or two for pairs",
        train=[{"title": "w", "label": row} for row in (0, 1)],
        validation=good,
    )
    refuses(
        "metric 'bleu' of .* does not exist: choose one of accuracy, exact_match, f1, matthews_correlation, pearson, "
        "spearman",
        "@bleu",
        train=good,
        validation=good,
    )
    refuses("metric spearman of .* does not fit classification: choose accuracy, f1", "@spearman", train=good)
    refuses("metric accuracy of .* does not fit regression", "@accuracy", train=reviews(6, (0.5, 1.5)))
    (tmp_path / "train.jsonl").write_bytes(b"\0\1broken")
    refuses("cannot be loaded with `datasets`", validation=good)


def test_a_single_document_cannot_be_split(write: Write, tokenizer: BertTokenizer) -> None:
    with pytest.raises(TaskError, match="one file with a single document: give both train and validation files"):
        load_task(write(train=[row | {"title": "t"} for row in reviews(6)]), tokenizer, 8)
