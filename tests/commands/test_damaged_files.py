"""
Whatever is done to a file of a run or of a model, a command ends in its result or in a sentence, never in a traceback.
Each draw damages one file of a copy in one way and runs one command that may read it.
"""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from autobert_hf.cli import main
from autobert_hf.hub_cards import card, load_back
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.measuring import final_latency, latency_samples

from ..searchers.runner import count_work
from .damages import damage


TINY = shlex.split(
    "--cpu --mixed-precision no --vocab-size 200 --length 16 --num-hidden-layers 2 --hidden-size 16 "
    "--num-attention-heads 2 --intermediate-size 32 --batch-size 8 --held-out-rows 16 --final-tokens 256"
)
METHODS = {
    "autobert-zero": "--num-trials 5 --population 3 --parents 1 --children 1 --warmup-steps 3 --candidate-steps 2",
    "autotinybert": "--num-trials 6 --population 2 --supernet-steps 3 --latency-samples 5 --latency-length 16 "
    "--width-step 8 --inner-step 8 --max-latency 3",
}
SUFFIXES = (".json", ".jsonl", ".safetensors", ".arrow", ".md")


def searched(run: Path, method: str) -> list[str]:
    text = run.parent / "text.txt"
    text.write_text("\n\n".join(corpus(60, seed=0)))
    return ["search", "--output-dir", str(run), "--train-file", str(text), "--method", method, *TINY] + shlex.split(
        METHODS[method]
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each method."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency_samples, "measure_latency", count_work)
        patch.setattr(final_latency, "measure_latency", count_work)
        patch.setattr("autobert_hf.api.write_card", lambda *which: None)
        for method in METHODS:
            found[method] = tmp_path_factory.mktemp(method) / "run"
            assert main(searched(found[method], method)) == 0
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn, timed, or loaded in another process."""
    for name in ("architecture", "search", "front", "training", "predicted"):
        monkeypatch.setattr(card, f"draw_{name}", lambda *data: data[-1].touch())
    for module in (latency_samples, final_latency):
        monkeypatch.setattr(module, "measure_latency", count_work)
    monkeypatch.setattr(load_back, "outputs_without_package", lambda folder, head, batch: {})


def of_model(run: Path, work: Path) -> dict[str, list[str]]:
    model = str(run / "model")
    return {
        "scale": ["scale", model, str(work / "scaled"), "--deeper"],
        "ablate": ["ablate", model, str(work / "ablated")],
        "convert": ["convert", model, str(work / "converted")],
        "report": ["report", str(run)],
    }


def of_run(run: Path, work: Path) -> dict[str, list[str]]:
    return {
        "status": ["status", str(run)],
        "report": ["report", str(run)],
        "select": ["select", str(run)],
        "push": ["push", str(run), "--repo-id", "me/x", "--dry-run", "--with-trials"],
    }


def slow_ones(run: Path, work: Path, method: str) -> dict[str, list[str]]:
    model, out = str(run / "model"), str(work / "out")
    search = searched(run, method)
    return {
        "search": search,
        "larger": [*search, "--num-trials", "8"],
        "front": ["select", str(run), "--all-front"],
        "train": ["select", str(run), "--train"],
        "measure": ["measure", "--run", str(run), "--reference", model, "--rounds", "2", "--length", "8"],
        "tokens": ["analyze", "tokens", model, "--output-dir", out, "--samples", "4", "--length", "8"],
        "ranking": ["analyze", "ranking", str(run), "--output-dir", out, "--networks", "3", "--tokens", "256"],
    }


def ends_in_a_sentence(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main(command)
    shown = capsys.readouterr()
    assert code in (0, 1)
    if code:
        sentence = shown.err.strip().splitlines()[-1]
        assert sentence.startswith(f"autobert {command[0]}: ") and len(sentence) < 2000, sentence


def drawn(
    rng: Random,
    runs: dict[str, Path],
    folder: Path,
    commands: Callable[[str, Path, str], dict[str, list[str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    method = rng.choice([*runs])
    run, work = folder / "run", folder / "work"
    shutil.copytree(runs[method], run)
    files = sorted(path.relative_to(run) for path in run.rglob("*") if path.suffix in SUFFIXES)
    name = rng.choice(files)
    what = damage(run / name, rng)
    command = rng.choice([*commands(name.parts[0], run, method).values()])
    try:
        ends_in_a_sentence(command, capsys)
    except BaseException as error:
        error.add_note(f"{method}: {name.parent / what}, then {' '.join(command)}")
        raise
    finally:
        shutil.rmtree(run)
        shutil.rmtree(work, ignore_errors=True)


@pytest.mark.parametrize("seed", range(4))
def test_no_command_ends_in_a_traceback(seed, runs, tmp_path, quick, capsys):
    def commands(part: str, run: Path, method: str) -> dict[str, list[str]]:
        return of_model(run, tmp_path / "work") if part == "model" else of_run(run, tmp_path / "work")

    rng = Random(seed)
    for _ in range(15):
        drawn(rng, runs, tmp_path, commands, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_nor_does_one_that_trains(seed, runs, tmp_path, quick, capsys):
    rng = Random(seed)
    for _ in range(10):
        drawn(rng, runs, tmp_path, lambda part, run, method: slow_ones(run, tmp_path / "work", method), capsys)


def test_a_run_of_an_earlier_version_is_refused_by_all(runs, tmp_path, quick, capsys):
    """Its files hold no digests."""
    run = tmp_path / "run"
    shutil.copytree(runs["autobert-zero"], run)
    for path in [run / "run.json", *run.glob("report/*.json")]:
        path.write_text(path.read_text().replace('"_digest"', '"digest"'))
    for command in [*of_run(run, tmp_path).values(), searched(run, "autobert-zero")]:
        assert main(command) == 1
        assert "has no digest: an earlier version of autobert-hf wrote it" in capsys.readouterr().err
