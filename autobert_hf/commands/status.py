"""`autobert status RUN_DIR`: progress of a run, and what is left to do."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import RunFolder, read_report
from autobert_hf.records.study import Study
from autobert_hf.records.trainings import Training, read_trainings


def status_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert status", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search.")
    given = parser.parse_args(arguments)
    print("\n".join(status_lines(given.run)))
    return 0


def status_lines(run: Path) -> list[str]:
    settings, local = RunFolder(run).read("run.json")["settings"], RunFolder(run).read("local.json")
    lines = [f"{run}: {settings.get('method', 'searched by a function')}, seed {settings['seed']}"]
    trainings = read_trainings(run)
    lines += [_training(training) for training in trainings if not training.is_final]
    lines += _rounds(run)
    study = Study.read(run) if Goals.read(run) is not None else None
    lines += _search(study, *_budget(run, local["num_trials"]))
    lines += [_training(training) for training in trainings if training.is_final and not training.is_done]
    if "method" not in settings:
        return lines
    done = (run / "model" / "config.json").exists()
    return [*lines, f"model: in {run / 'model'}" if done else "model: none yet; run the same command to resume"]


def _rounds(run: Path) -> list[str]:
    """The studies on the way to the main one, such as the rounds of shrinking."""
    files = sorted((run / "report").glob("budget-*.json"), key=lambda file: (len(file.stem), file.stem))  # 10 after 9
    asked = {file.stem.removeprefix("budget-"): read_report(file)["trials"] for file in files}
    return [f"{name}: {len(Study.read(run, name).trials)} of {number} candidates" for name, number in asked.items()]


def _budget(run: Path, num_trials: int) -> tuple[bool, int]:
    """Whether the search has ended, perhaps with fewer candidates, and how many its method asks for."""
    ended, asked = (read_report(run / "report" / f"{name}.json") for name in ("picks", "budget"))
    known = asked["trials"] if asked.get("num_trials") == num_trials else num_trials
    return ended.get("num_trials") == num_trials, known


def _search(study: Study | None, has_ended: bool, budget: int) -> list[str]:
    if study is None:
        return [f"search: 0 of {budget} candidates, 0 failed", f"left: {budget} candidates"]
    trials = study.trials
    wanted = len(trials) if has_ended else budget
    pruned, failed = (sum(trial.status == status for trial in trials) for status in ("pruned", "failed"))
    counts = [f"{failed} failed"] + ([f"{pruned} pruned"] if pruned else [])
    counts += [f"{len(study.rescorings)} scored again"] if study.rescorings else []
    lines = [f"search: {len(trials)} of {wanted} candidates, {', '.join(counts)}"]
    if trials and study.recorded[-1].weights:
        lines.append(f"last judged with: {study.recorded[-1].weights}")
    left, time = max(wanted - len(trials), 0), ""
    if any(trial.ok for trial in study.finalists):
        main, best = study.goals.main, study.best
        lines.append(f"best so far: trial {best.id}, {main.label} {main.shown(best.scores)}")
        known = [trial.cost["seconds"] for trial in trials if trial.ok and "seconds" in trial.cost]
        if left and known:
            time = f", about {left * median(known) / 60:.0f} min at {median(known):.1f} s each on one process"
    return [*lines, f"left: {left} candidates{time}"]


def _training(training: Training) -> str:
    if training.is_done:
        return f"{training.name}: trained, {training.steps:,} steps"
    return f"{training.name}: at step {training.step:,} of {training.steps:,} (last checkpoint)"
