"""Two processes make the same trials as one, and either may go on with what the other left."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil  # accelerate brings it
import pytest
from safetensors.torch import load_file

from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.records.journal import read_journal


ROOT = Path(__file__).parents[1]
SMALL = shlex.split(
    "--mixed-precision no --num-hidden-layers 2 --hidden-size 16 --num-attention-heads 2 --intermediate-size 24 "
    "--vocab-size 300 --length 24 --batch-size 4 --population 4 --parents 2 --children 2 --warmup-steps 4 "
    "--candidate-steps 2 --held-out-rows 8 --final-tokens 800"
)


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
ONE = ["--cpu", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
TWO = ["--config_file", str(ROOT / "examples/cpu2.yaml"), "--main_process_port=0"]


def search_command(folder: Path, num_trials: int) -> list[str]:
    """On a short text, which is written beside the folder."""
    text = folder.parent / "text.txt"
    if not text.exists():  # a process may be reading it
        text.write_text("\n\n".join(corpus(120, seed=0)))
    places = ["--train-file", str(text), "--output-dir", str(folder)]
    return ["search", *SMALL, "--num-trials", str(num_trials), *places]


def command(folder: Path, launch: list[str], num_trials: int) -> list[str]:
    job = ["-m", "autobert_hf", *search_command(folder, num_trials)]
    return [sys.executable, "-m", "accelerate.commands.launch", *launch, *job]


def search(folder: Path, processes: int, num_trials: int) -> list[dict]:
    job = command(folder, [*ONE, "--num_processes=1"] if processes == 1 else TWO, num_trials)
    done = subprocess.run(job, capture_output=True, text=True, timeout=500, env=ENVIRONMENT, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return trials_of(folder)


def records_of(folder: Path) -> list[dict]:
    return read_journal(folder / "journal.jsonl")


def trials_of(folder: Path) -> list[dict]:
    """Without what depends on who made them when."""
    trials = records_of(folder)
    for trial in trials:
        trial["cost"] = {name: value for name, value in trial["cost"].items() if name not in ("seconds", "process")}
    return trials


@pytest.mark.timeout(1800)
def test_the_journal_of_two_equals_that_of_one(tmp_path):
    one = search(tmp_path / "one", 1, 10)
    two = search(tmp_path / "two", 2, 10)
    assert len([record for record in one if "trial" in record]) == 10
    assert len(one) > 10, "no parent was scored again"
    assert two == one
    trials = [[record for record in records_of(tmp_path / name) if "trial" in record] for name in ("one", "two")]
    made_by = [[trial["cost"]["process"] for trial in found] for found in trials]
    assert set(made_by[0]) == {0}
    assert made_by[1].count(0) == made_by[1].count(1) == 5
    assert {p.name for p in (tmp_path / "two" / "model").iterdir()} >= {"model.safetensors", "README.md"}
    weights = [load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two")]
    assert all((weights[0][name] - weights[1][name]).abs().max() < 1e-5 for name in weights[0])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_goes_on_with_what_two_began(tmp_path):
    search(tmp_path / "both", 2, 5)
    assert search(tmp_path / "both", 1, 10) == search(tmp_path / "one", 1, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_run_in_words(tmp_path, rank):
    """And the run goes on from its journal as if nothing had been."""
    journal = tmp_path / "both" / "journal.jsonl"
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(command(tmp_path / "both", TWO, 400), stdout=log, stderr=log, env=ENVIRONMENT, cwd=ROOT)
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
            assert job.poll() is None
            time.sleep(0.1)
        (victim,) = [
            child
            for child in psutil.Process(job.pid).children(recursive=True)
            if child.environ().get("LOCAL_RANK") == str(rank)
        ]
        victim.kill()
        assert job.wait(timeout=120) != 0
    assert "another process of this run has died" in " ".join((tmp_path / "log").read_text().split()).lower()
    done = len([record for record in trials_of(tmp_path / "both") if "trial" in record])
    assert 4 <= done < 400
    total = (done // 4 + 1) * 4  # the end of a round
    assert search(tmp_path / "both", 1, total) == search(tmp_path / "one", 1, total)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_launcher_that_starts_one_process_of_two_is_noticed(tmp_path):
    job = command(tmp_path / "run", [*ONE, "--num_processes=2"], 4)
    done = subprocess.run(job, capture_output=True, text=True, timeout=500, env=ENVIRONMENT, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "asked for several processes and has started one" in done.stderr
    assert "--config_file examples/cpu2.yaml" in done.stderr
