"""The built-in tasks as tables, beside files and the Hub."""

import pytest

from autobert_hf.lab.data.builtin_text import TASKS
from autobert_hf.lab.tasks.task_data import TaskError, load_splits


@pytest.mark.parametrize("name", TASKS)
def test_built_in_tasks_need_no_file(name):
    train, validation = load_splits(f"builtin/{name}", seed=0)
    assert (len(train), len(validation)) == (2000, 400)
    assert set(train["label"]) == set(validation["label"]) == set(range(8 if name == "topic" else 2))
    texts = [column for column in train.column_names if column != "label"]
    shared = set(zip(*(train[text] for text in texts), strict=True)) & set(
        zip(*(validation[text] for text in texts), strict=True)
    )
    assert len(shared) < 40  # the grammar says a few short things twice; the same draws would share all


def test_the_seed_decides_the_rows():
    tables = [load_splits("builtin/agreement", seed)[0].to_list() for seed in (0, 0, 1)]
    assert tables[0] == tables[1] != tables[2]


def test_unknown_built_in_task():
    with pytest.raises(TaskError, match="no task builtin/poetry: choose one of builtin/topic"):
        load_splits("builtin/poetry", seed=0)


def csv(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return str(folder)


ROWS = "text,label\nw1 w2,1\nw3,0\n"


def test_a_gap_among_whole_numbers_of_a_csv_file_leaves_them_whole(tmp_path):
    train, _ = load_splits(csv(tmp_path, train__csv=ROWS + "w4,\nw5,NA\n", validation__csv=ROWS), seed=0)
    assert train["label"][:] == [1, 0, None, None]
    assert train.features["label"].dtype == "int64"


def test_texts_of_a_csv_file_that_look_like_missing_values(tmp_path):
    train, _ = load_splits(csv(tmp_path, train__csv="text,label\nNA,1\nnull,0\n,1\n", dev__csv=ROWS), seed=0)
    assert train["text"][:] == ["NA", "null", None]


def test_tab_separated_files_are_read_as_such(tmp_path):
    train, _ = load_splits(csv(tmp_path, train__tsv="text\tlabel\na, b\t1\n", dev__TSV="text\tlabel\nc\t0\n"), seed=0)
    assert train.to_list() == [{"text": "a, b", "label": 1}]


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Dev", "dev_matched"])
def test_validation_rows_by_any_usual_name(tmp_path, name):
    train, validation = load_splits(csv(tmp_path, train__csv=ROWS, **{f"{name}__csv": "text,label\nw9,1\n"}), seed=0)
    assert train.num_rows == 2 and validation["text"][:] == ["w9"]


def test_shards_are_read_together(tmp_path):
    shards = {"train-00000-of-00002__csv": ROWS, "train-00001-of-00002__csv": "text,label\nw8,\n"}
    train, _ = load_splits(csv(tmp_path, **shards, validation__csv=ROWS), seed=0)
    assert train.to_list()[1:] == [{"text": "w3", "label": 0}, {"text": "w8", "label": None}]
    lines = ['{"text": "w1", "label": 1}\n', '{"text": "w2", "label": 0}\n']
    (tmp_path / "json").mkdir()
    shards = {f"train-0000{number}-of-00002__jsonl": line for number, line in enumerate(lines)}
    train, _ = load_splits(csv(tmp_path / "json", **shards, dev__jsonl=lines[0]), seed=0)
    assert train["label"][:] == [1, 0]


def test_what_is_there_twice_or_not_read_is_said(tmp_path):
    with pytest.warns(UserWarning, match=r"Not read of the task .*: holdout\.csv\. What is read is called train and"):
        load_splits(csv(tmp_path, train__csv=ROWS, holdout__csv=ROWS, test__csv=ROWS, dev__csv=ROWS), seed=0)
    with pytest.raises(TaskError, match=r"validation rows in several files \(dev\.csv, valid\.csv\): leave one"):
        load_splits(csv(tmp_path, valid__csv=ROWS), seed=0)


def test_a_broken_csv_file_is_named(tmp_path):
    for text in (b"text,label\n\xff\xfe,1\n", b"", b'a,b\n1,2,3\n1\n"'):
        (tmp_path / "train.csv").write_bytes(text)
        with pytest.raises(TaskError, match=r"The task .*train\.csv cannot be loaded .* check its name"):
            load_splits(str(tmp_path), seed=0)
