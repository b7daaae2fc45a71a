"""`autobert select RUN_DIR`: extracts other candidates of a search, e.g. within other limits."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autobert_hf.api import Study, load_study
from autobert_hf.hub_cards.card import write_card
from autobert_hf.records.files import disk_errors
from autobert_hf.records.goals import Limits
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.settings.described import Quantity


def select_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert select", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search.")
    parser.add_argument("--max-params", type=Quantity, help="Maximum parameters (with masked-LM head), e.g. 5M.")
    parser.add_argument("--max-flops", type=Quantity, help="Maximum FLOPs for a row of 128 tokens, e.g. 1.2G.")
    parser.add_argument("--max-latency", type=Quantity, help="Maximum latency relative to the reference, e.g. 0.5.")
    parser.add_argument("--max-memory", type=Quantity, help="Maximum peak memory in MB.")
    parser.add_argument("--all-front", action="store_true", help="All candidates of the Pareto front, not just one.")
    parser.add_argument("--train", action="store_true", help="Train each with the run's final training.")
    given = parser.parse_args(arguments)
    asked = {"parameters": given.max_params, "flops": given.max_flops, "latency": given.max_latency}
    asked["memory"] = given.max_memory
    limits = Limits({name: most for name, most in asked.items() if most is not None})
    study = load_study(given.run)
    for trial in study.front(limits) if given.all_front else study.picks(limits).values():
        folder = extract(study, trial, given.train)
        scores = ", ".join(f"{name} {value:,.4g}" for name, value in sorted(trial.scores.items()))
        print(f"{folder}: trial {trial.id}, {scores}")
    return 0


def extract(study: Study, trial: Trial, train: bool) -> Path:
    """Saves a candidate as a model with its card; returns its folder."""
    folder = study.path / "selected" / f"trial-{trial.id:06d}"
    with study.opened() as method:
        method.save(method.model(trial, train), folder)
    with disk_errors(folder):
        write_card(study.path, folder, trial.id)
    return folder
