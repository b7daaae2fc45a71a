"""`autobert status RUN_DIR`: where a run is, and what is left of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from safetensors import safe_open

from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import RunFolder, read_report
from autobert_hf.records.study import journal_file
from autobert_hf.records.trial import Trial, read_trials


def status_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert status", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search.")
    given = parser.parse_args(arguments)
    print("\n".join(status_lines(given.run)))
    return 0


def status_lines(run: Path) -> list[str]:
    settings, local = RunFolder(run).read("run.json")["settings"], RunFolder(run).read("local.json")
    trials = read_trials(journal_file(run))
    lines = [f"{run}: {settings.get('method', 'searched by a function')}, seed {settings['seed']}"]
    lines += _supernet(run / "supernet", settings)
    # There are searches that go through fewer candidates than they may.
    has_ended = read_report(run / "report" / "picks.json").get("num_trials") == local["num_trials"]
    lines += _search(trials, len(trials) if has_ended else local["num_trials"], Goals.read(run))
    lines += [_training(path) for path in sorted((run / "final").glob("training-*.safetensors"))]
    if "method" not in settings:
        return lines
    done = (run / "model" / "config.json").exists()
    return [*lines, f"model: in {run / 'model'}" if done else "model: not there yet; the same command goes on"]


def _supernet(folder: Path, settings: dict[str, Any]) -> list[str]:
    """Where its training is, of a method that has a supernet."""
    if "supernet_steps" in settings:
        if (folder / "weights.safetensors").exists():
            return ["supernet: trained"]
        done = _metadata(folder / "training-weights.safetensors", "step")
        return [f"supernet: at step {done} of {settings['supernet_steps']} (last checkpoint)"]
    if "warmup_steps" in settings:
        if rounds := sorted(folder.glob("round-*.safetensors")):
            return [f"supernet: warmed up, weights of round {int(rounds[-1].stem.removeprefix('round-'))}"]
        done = _metadata(folder / "training-round-0000.safetensors", "step")
        return [f"supernet: warm-up at step {done} of {settings['warmup_steps']} (last checkpoint)"]
    return []


def _search(trials: list[Trial], wanted: int, goals: Goals | None) -> list[str]:
    pruned, failed = (sum(trial.status == status for trial in trials) for status in ("pruned", "failed"))
    ended = f"{failed} failed" + (f", {pruned} pruned" if pruned else "")
    lines = [f"search: {len(trials)} of {wanted} candidates, {ended}"]
    left, time = max(wanted - len(trials), 0), ""
    if goals is not None and (ranked := goals.best(trials)):
        best = ranked[0]
        lines.append(f"best so far: trial {best.id}, {goals.main.label} {best.scores[goals.main.name]:.4f}")
        if left and (known := [trial.cost["seconds"] for trial in ranked if "seconds" in trial.cost]):
            time = f", about {left * median(known) / 60:.0f} min at {median(known):.1f} s each on one process"
    return [*lines, f"left: {left} candidates{time}"]


def _training(path: Path) -> str:
    done, steps = _metadata(path, "step"), _metadata(path, "steps")
    name = path.stem.removeprefix("training-").rpartition("-")[0]
    return f"final training: {name} at step {done} of {steps} (last checkpoint)"


def _metadata(path: Path, name: str) -> int:
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()[name])
