"""
What only a GPU can show; run by benchmarks/gpu.sh. `GPU_TESTS_ON=cpu` runs the same on a CPU, to try the tests.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import autobert_hf
from autobert_hf import GridSpace
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.training.recipe import default_precision
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.journal import read_journal
from autobert_hf.records.json_files import read_record


DEVICE = os.environ.get("GPU_TESTS_ON", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no GPU"),
]
SMALL = {"length": 16, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
SMALL |= {"batch_size": 8, "held_out_rows": 16, "final_tokens": 512, "vocab_size": 200}
METHODS = {
    "autobert-zero": {"num_trials": 6, "population": 3, "parents": 2, "children": 1, "warmup_steps": 3}
    | {"candidate_steps": 2},
    "autotinybert": {"num_trials": 6, "population": 2, "supernet_steps": 3, "latency_samples": 5}
    | {"latency_length": 16, "width_step": 8, "inner_step": 8, "max_latency": "3", "latency_error": 1.0},
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(corpus(60, seed=0)))
    return path


def settings(method: str, folder: Path, text: Path, **more: Any) -> dict[str, Any]:
    return (
        SMALL | METHODS[method] | {"output_dir": str(folder), "train_file": str(text), "cpu": DEVICE == "cpu"} | more
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_tensor_of_a_search_is_on_the_device(
    method: str, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    update = Trainer.update

    def watched(trainer: Trainer, batch: dict[str, torch.Tensor]) -> float:
        value = update(trainer, batch)
        moments = [tensor for state in trainer.optimizer.state.values() for tensor in state.values()]
        tensors = [*trainer.tensors().values(), *(tensor for tensor in moments if tensor.ndim)]
        seen.extend(tensor.device.type for tensor in tensors)
        return value

    monkeypatch.setattr(Trainer, "update", watched)
    study = autobert_hf.search(method, **settings(method, tmp_path / "run", text))
    assert set(seen) == {DEVICE}
    assert all(trial.ok for trial in study.trials)


@pytest.mark.parametrize("method", METHODS)
def test_products_are_in_the_default_precision(
    method: str, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()
    linear = torch.nn.functional.linear

    def watched(*given: Any, **options: Any) -> torch.Tensor:
        found = linear(*given, **options)
        if torch.is_grad_enabled() and torch.is_autocast_enabled(DEVICE):
            seen.add(found.dtype)
        return found

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    autobert_hf.search(method, **settings(method, tmp_path / "run", text))
    precision = default_precision(use_cpu=DEVICE == "cpu")
    assert read_record(tmp_path / "run" / "run.json")["settings"]["mixed_precision"] == precision
    assert seen == ({torch.bfloat16} if precision == "bf16" else set())


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_goes_on_with_the_same_trials(method: str, tmp_path: Path, text: Path) -> None:
    """Scores differ in the last digits from run to run, as kernels of a GPU add in any order."""

    def command(folder: Path) -> list[str]:
        given = {"method": method} | settings(method, folder, text, mixed_precision="no", seed=3)
        options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if name != "cpu"]
        return [sys.executable, "-m", "autobert_hf", "search", *options, *(["--cpu"] if DEVICE == "cpu" else [])]

    journal = tmp_path / "killed" / "journal.jsonl"
    with subprocess.Popen(command(tmp_path / "killed"), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    before = read_journal(journal)
    assert subprocess.run(command(tmp_path / "killed"), stderr=subprocess.DEVNULL).returncode == 0
    after = read_journal(journal)
    assert after[: len(before)] == before
    assert len(after) == METHODS[method]["num_trials"]
    assert (tmp_path / "killed" / "model" / "config.json").exists()


def fixed(architecture: Any) -> dict[str, float]:
    return {"loss": (architecture["layers"] - 3) ** 2 + architecture["width"] / 100}


def test_architectures_are_the_cpus_where_scores_are_fixed(tmp_path: Path, text: Path) -> None:
    space = GridSpace(layers=[1, 2, 3, 4], width=[16, 32, 48])
    common = {"space": space, "evaluator": fixed, "goals": {"loss": "min"}, "trials": 10}
    here = autobert_hf.search(output_dir=tmp_path / "here", **common)
    program = (
        "import autobert_hf, sys; from autobert_hf import GridSpace; from tests.test_gpu import fixed;"
        "study = autobert_hf.search(space=GridSpace(layers=[1, 2, 3, 4], width=[16, 32, 48]), evaluator=fixed, "
        "goals={'loss': 'min'}, trials=10, output_dir=sys.argv[1])"
    )
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "cpu")], env=environment, check=True)
    there = autobert_hf.load_study(tmp_path / "cpu")
    assert [trial.architecture for trial in here.trials] == [trial.architecture for trial in there.trials]
    random = {"strategy": "random", "num_trials": 4, "population": 4}
    networks = [
        autobert_hf.search("autobert-zero", **settings("autobert-zero", tmp_path / str(cpu), text, **random, cpu=cpu))
        for cpu in (DEVICE == "cpu", True)
    ]
    assert networks[0].trials[0].scores["parameters"] == networks[1].trials[0].scores["parameters"]
    assert len({tuple(trial.architecture for trial in study.trials) for study in networks}) == 1
