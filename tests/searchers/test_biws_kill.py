"""A run that is killed anywhere, even while it writes, and started again ends as one that nobody disturbed."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from autobert_hf.records.journal import Journal, read_journal
from autobert_hf.records.tensor_files import read_tensors

from .conftest import Runner, options


# Three rounds: three random candidates, then twice one child of each of two parents.
SEARCH = {
    "num-trials": 7,
    "population": 3,
    "parents": 2,
    "children": 1,
    "vocab-size": 200,
    "length": 16,
    "num-hidden-layers": 2,
    "hidden-size": 16,
    "num-attention-heads": 2,
    "intermediate-size": 32,
    "warmup-steps": 3,
    "candidate-steps": 2,
    "candidate-learning-rate": 0.01,
    "batch-size": 8,
    "held-out-rows": 16,
    "final-tokens": 512,
    "final-training": "inherit",
    "mixed-precision": "no",
}


class Search:
    """The search above as a command, in processes that can be killed."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def __call__(self, folder: Path, settings: dict[str, Any] | None = None, **request: Any) -> int:
        """The exit code."""
        text = {"output-dir": folder, "train-file": self.runner.text(60)}
        return self.runner(["search", "--cpu", *options(SEARCH | text | (settings or {}))], **request)

    def killed(self, folder: Path, name: str, nth: int = 0, half: bool = False) -> None:
        code = self(folder, kill={"name": name, "nth": nth, "half": half})
        assert code == -9, f"not killed at {name}: {self.log}"

    @property
    def log(self) -> str:
        return self.runner.log


@pytest.fixture(scope="module")
def search(runner: Runner) -> Search:
    return Search(runner)


@pytest.fixture(scope="module")
def undisturbed(search: Search, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert search(folder) == 0, search.log
    return folder


def records(folder: Path, name: str = "journal.jsonl") -> list[dict[str, Any]]:
    """A journal without what clocks say."""
    found = read_journal(folder / name)
    for record in found:
        assert record["cost"].pop("seconds", 0) >= 0
    return found


def trials(folder: Path) -> list[dict[str, Any]]:
    return [record for record in records(folder) if "trial" in record]


def assert_same(folder: Path, undisturbed: Path) -> None:
    """The same trials, weights and reports, and nothing more or less in the folder."""
    for name in ("journal.jsonl", "finalists.jsonl"):
        assert records(folder, name) == records(undisturbed, name)
    names = {path.relative_to(undisturbed) for path in undisturbed.rglob("*")}
    assert {path.relative_to(folder) for path in folder.rglob("*")} == names
    for name in sorted(undisturbed.glob("report/*.json")):
        assert (folder / "report" / name.name).read_text() == name.read_text()
    weights = [name for name in names if name.suffix == ".safetensors"]
    assert {name.parts[0] for name in weights} == {"supernet", "final", "model"}
    for name in [name for name in names if name.suffix == ".arrow"]:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    for name in weights:
        ours, theirs = load_file(folder / name), load_file(undisturbed / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


def test_the_undisturbed_run_is_what_the_others_need(undisturbed: Path) -> None:
    found = trials(undisturbed)
    assert [trial["trial"] for trial in found] == list(range(7))
    assert {trial["parent"] for trial in found[3:]} - {None}
    assert len({trial["scores"]["loss"] for trial in found}) == 7
    assert len({trial["cost"]["inherited_tokens"] for trial in found}) == 3, "no round wrote its children back"
    assert len(records(undisturbed)) > 7, "no parent was scored again"
    assert records(undisturbed, "finalists.jsonl")
    (weights,) = (undisturbed / "supernet").glob("round-*.safetensors")
    journal = Journal(undisturbed / "journal.jsonl")
    assert read_tensors(weights)[1]["journal"] == journal.digests[len(records(undisturbed))]


# Each chain is one run, killed at all of these places one after the other: (event, how many of its kind went before it
# in this process, whether a half-written file is left).
CHAINS = {
    "before the search": [
        ("write run.json", 0, True),
        ("write text.json", 0, True),
        ("save training-round-0000", 1, True),
        ("step", 1, False),
        ("rename round-0000", 0, False),
        ("unlink training-round-0000", 0, False),
    ],
    "inside a child and before its line": [
        ("step", 5, False),
        ("save child-000001", 0, True),
        ("line", 0, True),
        ("line", 0, False),
        ("rename child-000003", 0, False),
    ],
    "inside write-back": [
        ("save round-0001", 0, True),
        ("rename round-0001", 0, False),
        ("unlink round-0000", 0, False),
        ("save round-0002", 0, False),
        ("unlink round-0001", 0, False),
    ],
    "late": [
        ("line", 6, True),
        ("rename round-0003", 0, False),
        ("step", 1, False),
        ("save training-bert", 1, True),
        ("save bert", 0, True),
        ("rename model", 0, False),
    ],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_killed_run_ends_as_an_undisturbed_one(
    search: Search, undisturbed: Path, tmp_path: Path, chain: list[tuple[str, int, bool]]
) -> None:
    for name, nth, half in chain:
        search.killed(tmp_path / "run", name, nth, half)
    assert search(tmp_path / "run") == 0, search.log
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(12))
def test_killed_six_times_at_random(search: Search, undisturbed: Path, tmp_path: Path, seed: int) -> None:
    rng, codes = Random(seed), []
    for _ in range(6):
        kill = {"nth": rng.randrange(10, 75), "half": rng.random() < 0.5}
        codes.append(search(tmp_path / "run", kill=kill))
    assert codes.count(-9) >= 5
    assert set(codes) <= {-9, 0}
    assert search(tmp_path / "run") == 0, search.log
    assert_same(tmp_path / "run", undisturbed)


def test_a_finished_run_stays_as_it_is(search: Search, undisturbed: Path, tmp_path: Path) -> None:
    journal, model = undisturbed / "journal.jsonl", undisturbed / "model" / "model.safetensors"
    before = journal.read_bytes(), model.read_bytes()
    assert search(undisturbed, trace=str(tmp_path / "trace")) == 0
    assert (journal.read_bytes(), model.read_bytes()) == before
    assert "step" not in json.loads((tmp_path / "trace").read_text())


def test_a_larger_budget_goes_on_and_counts_what_was_spent(search: Search, undisturbed: Path, tmp_path: Path) -> None:
    """Cut in the middle of a round first, then at its end; the final training is that of each budget's winner."""
    assert search(tmp_path / "run", {"num-trials": 4}) == 0, search.log
    assert trials(tmp_path / "run") == trials(undisturbed)[:4]
    assert search(tmp_path / "run", {"num-trials": 5}) == 0
    assert search(tmp_path / "run") == 0
    assert trials(tmp_path / "run") == trials(undisturbed)
    ours, theirs = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "run", undisturbed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_smaller_budget_throws_nothing_away(search: Search, undisturbed: Path, tmp_path: Path) -> None:
    search.killed(tmp_path / "run", "line", 7)
    before = trials(tmp_path / "run")
    assert search(tmp_path / "run", {"num-trials": 2}) == 0, search.log
    assert trials(tmp_path / "run") == before == trials(undisturbed)[: len(before)]
    assert search(tmp_path / "run") == 0
    assert trials(tmp_path / "run") == trials(undisturbed)


def test_a_second_process_is_refused(search: Search, tmp_path: Path) -> None:
    search.killed(tmp_path / "run", "line", 1)
    before = (tmp_path / "run/journal.jsonl").read_bytes()
    with (tmp_path / "run/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert search(tmp_path / "run") == 1
    assert "in use by another process" in search.log
    assert (tmp_path / "run/journal.jsonl").read_bytes() == before


def test_a_journal_cut_back_behind_a_round_is_refused(search: Search, tmp_path: Path) -> None:
    search.killed(tmp_path / "run", "line", 4)
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    assert search(tmp_path / "run") == 1
    assert "journal.jsonl lacks lines that the weights in the run's folder follow from" in search.log


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of two megabytes; needs root."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mount = subprocess.run(command, capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no small disk here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(disk: Path, but: int) -> Iterator[None]:
    """All of the disk is taken but so many kilobytes."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (status.f_bavail * status.f_frsize - but * 1024))
    yield
    ballast.unlink()


def assert_sentence(log: str, path: Path, reason: str) -> None:
    last = log.splitlines()[-1]
    assert "Traceback" not in log
    assert last.startswith(f"autobert search: Cannot write {path}")
    assert reason in last
    assert last.endswith("then run the same command to go on.")


FULL = [("line", 64), ("line", 128), ("write training-", 99)]
SLOW_SIZES = [pytest.param("line", size, marks=pytest.mark.slow) for size in (0, *range(36, 160, 8))]


@pytest.mark.parametrize(("killed_at", "kilobytes"), [*FULL, *SLOW_SIZES])
def test_a_full_disk_stops_the_run_and_loses_nothing(
    search: Search, undisturbed: Path, tmp_path: Path, killed_at: str, kilobytes: int
) -> None:
    """In the search (children, weights of rounds, journal) and while the model is saved."""
    with small_disk(tmp_path / "disk") as disk:
        folder = disk / "run"
        search.killed(folder, killed_at)
        with filled(disk, but=kilobytes):
            assert search(folder) == 1, search.log
            assert_sentence(search.log, folder, "the disk is full: free some space")
            assert trials(folder) == trials(undisturbed)[: len(trials(folder))]
        assert search(folder) == 0, search.log
        assert_same(folder, undisturbed)


def test_files_that_may_not_grow_stop_the_run_and_lose_nothing(
    search: Search, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    search.killed(folder, "line", 1)
    assert search(folder, file_limit=20_000) == 1, search.log
    assert_sentence(search.log, folder, "File too large")
    assert search(folder) == 0, search.log
    assert_same(folder, undisturbed)
