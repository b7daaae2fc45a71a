"""Which columns are texts, what the labels are, and that both tables have them."""

import datasets
import pytest

from autobert_hf.lab.tasks.labelled_tables import labelled_tables, text_columns
from autobert_hf.lab.tasks.task_data import TaskError


def table(**columns):
    return datasets.Dataset.from_dict(columns)


def texts(labels):
    return table(text=[f"a text {number}" for number in range(len(labels))], label=labels)


GOOD = texts([0, 1])


def test_whole_numbers_with_a_gap_are_classes_also_as_floats():
    with pytest.warns(UserWarning, match="whole numbers, 1 of them missing: they are taken as classes"):
        found = labelled_tables("t", [texts([2.0, None, 0.0]), texts([0, 2])])
    assert (found.kind, found.num_labels, dict(found.classes)) == ("classification", 2, {0: 0, 2: 1})
    assert [part["label"][:] for part in found.tables] == [[1, 0], [0, 1]]


@pytest.mark.parametrize("labels", [[1.0, 2.0], [0.5, None, 2.0]])
def test_other_floats_stay_values(labels):
    found = labelled_tables("t", [texts(labels), texts([1, 2])])
    assert (found.kind, found.num_labels, found.tables[1]["label"][:]) == ("regression", 1, [1, 2])


@pytest.mark.parametrize("name", ["guid", "key", "file"])
@pytest.mark.parametrize("values", [["train-1", "train-2"], ["0f3a", "77bc"]])
def test_identifiers_are_no_texts(name, values):
    rows = {name: values, "text": ["one two", "two"], "label": [0, 1]}
    assert text_columns("t", table(**rows)) == ["text"]


@pytest.mark.parametrize("values", [["一二", "三四"], ["one", "two"], ["w1", "w1"], ["w1 w2", "w3"]])
def test_other_short_strings_are_texts(values):
    assert text_columns("t", table(a=values, b=["one two", "two"], label=[0, 1])) == ["a", "b"]


def test_a_class_that_only_validation_has_gets_a_number_too():
    found = labelled_tables("t", [texts([0, 3]), texts([3, 7])])
    assert found.num_labels == 3 and found.tables[1]["label"][:] == [1, 2]
    assert found.head_settings["id2label"] == {0: "0", 1: "3", 2: "7"}


def test_hidden_labels_are_left_out_and_said():
    with pytest.warns(UserWarning, match="2 of 4 rows .* have the label -1"):
        found = labelled_tables("t", [texts([-1, 1, -1, 0]), GOOD])
    assert found.tables[0].to_list() == [{"text": "a text 1", "label": 1}, {"text": "a text 3", "label": 0}]


def test_a_missing_text_is_an_empty_one():
    found = labelled_tables("t", [table(a=[None, "x y"], b=["z y", None], label=[0, 1])] * 2)
    assert [found.texts(row) for row in found.tables[0].to_list()] == [["", "z y"], ["x y", ""]]


@pytest.mark.parametrize(
    ("validation", "reason"),
    [
        (
            table(sentence=["a"], label=[1]),
            "validation rows of the task t have no column `text`, .* only sentence",
        ),
        (table(text=["a"], target=[1]), "have no column `label`"),
        (texts([0.5, 1.0]), "labels of the task t are classes, but one of the validation rows has the label 0.5"),
        (texts(["neg", "pos"]), "label 'neg' in row 0 of the task t is no number"),
    ],
)
def test_what_of_the_validation_rows_does_not_fit_is_said(validation, reason):
    with pytest.raises(TaskError, match=reason):
        labelled_tables("t", [GOOD, validation])


def test_an_infinite_label_is_refused():
    with pytest.raises(TaskError, match="label in row 1 of the task t is inf: give a finite number"):
        labelled_tables("t", [texts([0.5, float("inf"), 1.5]), texts([0.5, 1.0])])
