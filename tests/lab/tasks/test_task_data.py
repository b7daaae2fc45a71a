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
