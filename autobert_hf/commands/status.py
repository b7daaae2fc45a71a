"""`autobert status RUN_DIR`: progress of a run, and what is left to do."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import RunFolder, read_report
from autobert_hf.records.study import journal_file
from autobert_hf.records.trainings import Training, read_trainings
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
    trainings = read_trainings(run)
    lines += [_training(training) for training in trainings if not training.is_final]
    # A search may end with fewer candidates than its budget.
    has_ended = read_report(run / "report" / "picks.json").get("num_trials") == local["num_trials"]
    lines += _search(trials, len(trials) if has_ended else local["num_trials"], Goals.read(run))
    lines += [_training(training) for training in trainings if training.is_final and not training.is_done]
    if "method" not in settings:
        return lines
    done = (run / "model" / "config.json").exists()
    return [*lines, f"model: in {run / 'model'}" if done else "model: none yet; run the same command to resume"]


def _search(trials: list[Trial], wanted: int, goals: Goals | None) -> list[str]:
    pruned, failed = (sum(trial.status == status for trial in trials) for status in ("pruned", "failed"))
    ended = f"{failed} failed" + (f", {pruned} pruned" if pruned else "")
    lines = [f"search: {len(trials)} of {wanted} candidates, {ended}"]
    if trials and trials[-1].weights:
        lines.append(f"last judged with: {trials[-1].weights}")
    left, time = max(wanted - len(trials), 0), ""
    if goals is not None and (ranked := goals.best(trials)):
        best = ranked[0]
        lines.append(f"best so far: trial {best.id}, {goals.main.label} {best.scores[goals.main.name]:.4f}")
        if left and (known := [trial.cost["seconds"] for trial in ranked if "seconds" in trial.cost]):
            time = f", about {left * median(known) / 60:.0f} min at {median(known):.1f} s each on one process"
    return [*lines, f"left: {left} candidates{time}"]


def _training(training: Training) -> str:
    if training.is_done:
        return f"{training.name}: trained, {training.steps:,} steps"
    return f"{training.name}: at step {training.step:,} of {training.steps:,} (last checkpoint)"
