"""`autobert status RUN_DIR`: where a run is, and what is left of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from safetensors import safe_open

from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.records.trial import Trial, read_trials


def status_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert status", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search.")
    given = parser.parse_args(arguments)
    print("\n".join(status_lines(given.run)))
    return 0


def status_lines(run: Path) -> list[str]:
    record, local = RunFolder(run).read("run.json"), RunFolder(run).read("local.json")
    trials = read_trials(run / "journal.jsonl")
    lines = [f"{run}: {record['settings']['method']}, seed {record['settings']['seed']}"]
    lines += [_supernet(run, record["settings"])]
    lines += _search(trials, local["num_trials"], Goals.of(record["settings"]))
    lines += [_training(path) for path in sorted((run / "final").glob("*.safetensors"))]
    done = (run / "model" / "config.json").exists()
    lines.append(f"model: in {run / 'model'}" if done else "model: not there yet; the same command goes on")
    return lines


def _supernet(run: Path, settings: dict[str, Any]) -> str:
    if "supernet_steps" in settings:
        if (run / "supernet" / "weights.safetensors").exists():
            return "supernet: trained"
        done = _metadata(run / "supernet" / "training.safetensors", "step")
        return f"supernet: at step {done} of {settings['supernet_steps']} (last checkpoint)"
    rounds = list((run / "supernet").glob("round-*.safetensors"))
    if rounds:
        return f"supernet: warmed up, weights of round {int(rounds[-1].stem.removeprefix('round-'))}"
    done = _metadata(run / "supernet" / "warm-up.safetensors", "step")
    return f"supernet: warm-up at step {done} of {settings['warmup_steps']} (last checkpoint)"


def _search(trials: list[Trial], wanted: int, goals: Goals) -> list[str]:
    failed = sum(not trial.ok for trial in trials)
    lines = [f"search: {len(trials)} of {wanted} candidates, {failed} failed"]
    left, time = max(wanted - len(trials), 0), ""
    if ranked := goals.best(trials):
        lines.append(f"best so far: trial {ranked[0].id}, {goals.main.label} {ranked[0].scores[goals.main.name]:.4f}")
        seconds = median(trial.cost["seconds"] for trial in ranked)
        time = f", about {left * seconds / 60:.0f} min at {seconds:.1f} s each on one process"
    return [*lines, f"left: {left} candidates{time}"]


def _training(path: Path) -> str:
    done, steps = _metadata(path, "step"), _metadata(path, "steps")
    return f"final training: {path.stem.rpartition('-')[0]} at step {done} of {steps} (last checkpoint)"


def _metadata(path: Path, name: str) -> int:
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()[name])
