"""`autobert select RUN_DIR`: another point of a finished search, within other limits, without searching again."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autobert_hf.hub_cards.card import write_card
from autobert_hf.records.files import disk_errors
from autobert_hf.records.goals import Goals, Limits
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.records.trial import Trial, read_trials
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.method import Method, reopen
from autobert_hf.searchers.settings.search_settings import Quantity


class SelectionError(ValueError):
    """The search has no such candidate."""


def select_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert select", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search.")
    parser.add_argument("--max-params", type=quantity, help="Most parameters of the masked language model, e.g. 5M.")
    parser.add_argument("--max-flops", type=quantity, help="Most FLOPs of a row of 128 tokens, e.g. 1.2G.")
    parser.add_argument("--max-latency", type=quantity, help="Most time over the reference, e.g. 0.5.")
    parser.add_argument("--all-front", action="store_true", help="Every candidate that no other beats, not one.")
    parser.add_argument("--train", action="store_true", help="Give each the run's final training.")
    given = parser.parse_args(arguments)
    limits = {"parameters": given.max_params, "flops": given.max_flops, "latency": given.max_latency}
    chosen = choose(given.run, Limits({name: most for name, most in limits.items() if most}), given.all_front)
    method = reopen(given.run, METHODS)
    for trial in chosen:
        folder = extract(method, given.run, trial, given.train)
        scores = ", ".join(f"{name} {value:,.4g}" for name, value in sorted(trial.scores.items()))
        print(f"{folder}: trial {trial.id}, {scores}")
    return 0


def quantity(text: str) -> Quantity:
    try:
        return Quantity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def choose(run: Path, limits: Limits, all_front: bool) -> list[Trial]:
    """
    The best candidate within the limits, or all that no other beats there.

    Raises:
        SelectionError: if there is none, naming what comes closest.
    """
    goals = Goals.of(RunFolder(run).read("run.json")["settings"])
    done = [trial for trial in read_trials(run / "journal.jsonl") if trial.ok]
    if not done:
        raise SelectionError(f"{run} has no finished candidate yet: let the search go on.")
    for name in limits.most:
        if name not in done[0].scores:
            raise SelectionError(f"{run} knows no {name} of its candidates: the search did not measure it.")
    within = [trial for trial in done if limits.broken_by(trial.scores) is None]
    if not within:
        smallest = ", ".join(f"{min(trial.scores[name] for trial in done):,.4g} {name}" for name in limits.most)
        raise SelectionError(f"No candidate of {run} keeps within the limits; the smallest have {smallest}.")
    return goals.front(within) if all_front else goals.best(within)[:1]


def extract(method: Method, run: Path, trial: Trial, train: bool) -> Path:
    """Saves a candidate with its card, in a folder of its own."""
    folder = run / "selected" / f"trial-{trial.id:06d}"
    try:
        model = method.trained(trial, f"training-{trial.id:06d}") if train else method.inherited(trial)
    except FileNotFoundError as error:
        raise SelectionError(
            f"The weights of trial {trial.id} were not kept: weights are kept of the winner and of what --trade-off "
            "asked for. With --train it is trained again from scratch."
        ) from error
    method.job.save(model, folder)
    with disk_errors(folder):
        write_card(run, folder, trial.id)
    return folder
