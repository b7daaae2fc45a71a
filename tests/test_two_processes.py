"""Two processes make the same trials as one, and either may go on with what the other left."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file


ROOT = Path(__file__).parents[1]
SMALL = shlex.split(
    "--cpu --mixed-precision no --num-hidden-layers 2 --hidden-size 16 --num-attention-heads 2 --intermediate-size 24 "
    "--vocab-size 300 --length 24 --batch-size 4 --population 4 --parents 2 --children 2 --warmup-steps 4 "
    "--candidate-steps 2 --held-out-rows 8 --final-tokens 800"
)


def search(folder: Path, processes: int, num_trials: int) -> list[dict]:
    launch = [sys.executable, "-m", "accelerate.commands.launch"]
    one = ["--cpu", "--num_processes=1", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    launch += one if processes == 1 else ["--config_file", str(ROOT / "examples/cpu2.yaml"), "--main_process_port=0"]
    job = ["-m", "autobert_hf", "search", *SMALL, "--num-trials", str(num_trials), "--output-dir", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *job], capture_output=True, text=True, timeout=240, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for trial in trials:
        trial["cost"].pop("seconds", None)
    return trials


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_journal_of_two_equals_that_of_one(tmp_path):
    one = search(tmp_path / "one", 1, 10)
    two = search(tmp_path / "two", 2, 10)
    assert len(one) == 10
    assert two == one
    assert {p.name for p in (tmp_path / "two" / "model").iterdir()} >= {"model.safetensors", "README.md"}
    weights = [load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two")]
    assert all((weights[0][name] - weights[1][name]).abs().max() < 1e-5 for name in weights[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_goes_on_with_what_two_began(tmp_path):
    search(tmp_path / "both", 2, 5)
    assert search(tmp_path / "both", 1, 10) == search(tmp_path / "one", 1, 10)
