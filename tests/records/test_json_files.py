"""A record that is not as it was written is refused with its name and what to do."""

import json
from pathlib import Path

import pytest

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.json_files import read_json, read_record, write_json, write_record


RECORD = {"settings": {"seed": 3, "rate": 0.1}, "curve": [[1, 2.5], [2, float("nan")]], "name": "größe", "7": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_record(tmp_path / "report" / "latency.json", RECORD)
    return tmp_path / "report" / "latency.json"


def test_a_record_comes_back(path: Path) -> None:
    assert json.dumps(read_record(path)) == json.dumps(RECORD, sort_keys=True)  # nan is unequal to itself
    write_record(path, {10: {2: "b"}, 9: {1: "a"}})
    assert read_record(path) == {"10": {"2": "b"}, "9": {"1": "a"}}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"seed": 3', '"seed": 4', "is not as it was written"),
        ('"rate": 0.1', '"rate": NaN', "is not as it was written"),
        ('"rate": 0.1', '"rate": 1' + "0" * 400, "is not as it was written"),
        ('"rate": 0.1', '"rate": 1' + "0" * 5000, "is not JSON"),
        ('"rate": 0.1', '"rate": ' + "[" * 100_000 + "]" * 100_000, "is not JSON"),
        ('"rate": 0.1', '"rate": ,', "is not JSON"),
        ('"_digest"', '"digest"', "has no digest: an earlier version"),
    ],
)
def test_one_that_was_changed_is_refused(path: Path, old: str, new: str, what: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DamagedFileError, match=rf"latency\.json {what}.*\. Delete it: the command that wrote it"):
        read_record(path)


@pytest.mark.parametrize(
    ("data", "what"), [(b"\xff{}", "is not JSON"), (b"", "is not JSON"), (b"[1]", "holds a list, not an object")]
)
def test_what_is_no_record_at_all(path: Path, data: bytes, what: str) -> None:
    path.write_bytes(data)
    for read in (read_record, read_json):
        with pytest.raises(DamagedFileError, match=what):
            read(path)


def test_a_result_for_others_has_no_digest(tmp_path: Path) -> None:
    write_json(tmp_path / "ours.json", {"ratio": 0.5})
    assert json.loads((tmp_path / "ours.json").read_text()) == {"ratio": 0.5} == read_json(tmp_path / "ours.json")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("run.json", "Restore it from a copy, or start again in a new --output-dir."),
        ("journal-stage.jsonl", "Restore it from a copy, or start again in a new --output-dir."),
        ("supernet/training-weights.safetensors", "Delete it: the same command begins its training again."),
        ("supernet/weights.safetensors", "Delete it: the same command trains it again."),
        ("supernet/round-0003.safetensors", "delete the folder supernet and journal.jsonl"),
        ("text/rows/train-00000.arrow", "Delete the folder text"),
        ("report/predictor.json", r"Delete report/predictor.\*"),
    ],
)
def test_the_way_out_is_that_of_the_file(tmp_path: Path, name: str, way: str) -> None:
    with pytest.raises(DamagedFileError, match=rf"{name} is broken\. .*{way}"):
        raise DamagedFileError(tmp_path / name, "is broken")


def test_one_that_is_needed_and_missing(path: Path) -> None:
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"latency\.json is missing\."):
        read_record(path)
