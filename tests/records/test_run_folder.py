"""A folder belongs to one run: it is continued, never mixed with another."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.run_folder import LIBRARIES, RunError, RunFolder


SETTINGS = {"seed": 0, "alpha": 0.5, "method": "op-nas", "files": ("a", "b")}
INPUTS = {"train": {"text.txt": "12ab"}, "dataset": {"some/set": ""}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


def opened(
    path: Path, settings: dict[str, Any] | None = None, inputs: dict[str, dict[str, str]] | None = None
) -> None:
    RunFolder(path).open(settings or SETTINGS, inputs or INPUTS)


def learned_something(path: Path) -> None:
    (path / "supernet").mkdir()
    (path / "supernet" / "round-0000.safetensors").write_text("weights")


def test_a_new_run_records_what_it_is(path: Path) -> None:
    RunFolder(path).open(SETTINGS, INPUTS, {"num_trials": 7})
    run = RunFolder(path).read("run.json")
    assert run["settings"] == SETTINGS | {"files": ["a", "b"]}
    assert run["inputs"] == INPUTS
    assert set(run["versions"]) == {*LIBRARIES, "python"}
    assert set(run["machine"]) == {"processor", "threads"}
    assert RunFolder(path).read("local.json")["num_trials"] == 7


def test_what_is_published_holds_nothing_of_this_machine(path: Path) -> None:
    opened(path)
    assert str(path) not in (path / "run.json").read_text()
    assert "command" in RunFolder(path).read("local.json")


def test_the_same_run_goes_on(path: Path) -> None:
    opened(path)
    learned_something(path)
    (path / "text").mkdir()
    before = (path / "run.json").read_bytes()
    opened(path)
    assert (path / "run.json").read_bytes() == before
    assert (path / "text").exists()


def test_a_run_that_learned_something_is_not_mixed_with_another(path: Path) -> None:
    opened(path)
    learned_something(path)
    before = (path / "run.json").read_bytes()
    message = (
        "runs/one holds another run (dataset: some/set then, nothing now; "
        "train: text.txt (12ab) then, text.txt (34cd) now; alpha: 0.5 then, 0.7 now; beta; seed: 0 then, 1 now). "
        "Repeat its settings to go on with it, or choose another --output-dir."
    )
    with pytest.raises(RunError) as caught:
        opened(path, SETTINGS | {"seed": 1, "alpha": 0.7, "beta": 3}, {"train": {"text.txt": "34cd"}})
    assert str(caught.value).endswith(message)
    assert (path / "run.json").read_bytes() == before


def test_an_input_is_known_by_its_content_and_without_files_by_its_name(path: Path) -> None:
    opened(path)
    learned_something(path)
    opened(path, inputs=INPUTS | {"train": {"moved.txt": "12ab"}})
    for other in (
        {"train": {"text.txt": "34cd"}},
        {"dataset": {"other/set": ""}},
        {"validation": {"text.txt": "12ab"}},
    ):
        with pytest.raises(RunError, match=f"holds another run .{[*other][0]}: "):
            opened(path, inputs=INPUTS | other)


def test_one_that_learned_nothing_gives_way(path: Path) -> None:
    """Else a text that is too short would bind the folder to the settings it was too short for."""
    opened(path)
    (path / "text").mkdir()
    (path / "text" / "rows.safetensors").write_text("of other settings")
    opened(path, SETTINGS | {"seed": 1})
    assert RunFolder(path).read("run.json")["settings"]["seed"] == 1
    assert not (path / "text").exists()


def test_a_folder_of_something_else_is_left_alone(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("my only copy")
    with pytest.raises(RunError, match="runs/one is not empty and holds no run: choose another --output-dir"):
        opened(path)
    assert [file.name for file in path.iterdir()] == ["thesis.tex"]


def test_somebody_elses_run_json(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "run.json").write_text('{"wandb": true}')
    (path / "data").write_text("")
    with pytest.raises(DamagedFileError, match="run.json has no digest.* or another program. .*new --output-dir"):
        opened(path)
    (path / "run.json").write_text("{'wandb'")
    with pytest.raises(DamagedFileError, match="run.json is not JSON"):
        opened(path)


def test_a_file_in_its_place(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(RunError, match="runs/one is a file: choose another --output-dir"):
        opened(path)


def test_an_empty_folder_and_a_killed_start_are_free(path: Path) -> None:
    path.mkdir(parents=True)
    opened(path)
    (path / ".run.json.tmp").mkdir()  # as if killed between lock and rename
    (path / "run.json").rename(path / ".run.json.tmp" / "run.json")
    (path / "local.json").unlink()
    opened(path)
    assert json.loads((path / "run.json").read_text())["settings"]["seed"] == 0


def test_what_a_killed_process_was_writing_is_swept_away(path: Path) -> None:
    opened(path)
    learned_something(path)
    left = path / "supernet" / ".child-000003.safetensors.tmp"
    left.mkdir()
    (left / ".tmpAbCdEf").write_text("half")
    opened(path)
    assert sorted(file.name for file in (path / "supernet").iterdir()) == ["round-0000.safetensors"]


def test_one_process_at_a_time(path: Path) -> None:
    opened(path)
    with (path / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="runs/one is in use by another process: wait for it or end it"):
            opened(path)
    opened(path)


def test_reading_what_is_not_there(path: Path) -> None:
    with pytest.raises(RunError, match=r"runs/one holds no run.json: is it the --output-dir of a run\?"):
        RunFolder(path).read("run.json")
