"""The command line: `autobert <command>`, also `python -m autobert_hf` and under `accelerate launch -m autobert_hf`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import yaml
from transformers import HfArgumentParser

from autobert_hf.hub_cards.card import write_card
from autobert_hf.lab.corpus import Source
from autobert_hf.lab.files import StorageError
from autobert_hf.lab.journal import JournalError
from autobert_hf.lab.run_folder import RunError, RunFolder
from autobert_hf.lab.text import TextError
from autobert_hf.lab.train import TrainingError
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.settings import SearchSettings


# Settings that say where things are on this machine; they may change between two calls of one run.
LOCAL = {"output_dir", "train_file", "validation_file", "cpu", "num_trials"}


class UsageError(ValueError):
    """The command line or the file behind --config asks for something that does not exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command, *rest = arguments or ["--help"]
    if command not in COMMANDS:
        print(f"usage: autobert {{{','.join(COMMANDS)}}} ...\n\n`autobert COMMAND --help` says what each takes.")
        return 0 if command in ("-h", "--help") else 2
    try:
        return COMMANDS[command](rest)
    except (UsageError, TextError, RunError, JournalError, StorageError, TrainingError, ValueError) as error:
        print(f"autobert {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nautobert {command}: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


def search_command(arguments: Sequence[str]) -> int:
    """Text in, searched model out."""
    settings = parse_settings(arguments)
    if settings.method not in METHODS:
        raise UsageError(f"--method {settings.method} is unknown: use one of {', '.join(METHODS)}.")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    folder = RunFolder(Path(settings.output_dir))
    source = Source(
        settings.train_file,
        settings.validation_file,
        settings.dataset,
        settings.tokenizer,
        settings.vocab_size,
        settings.length,
        settings.seed,
    )
    recorded = {name: value for name, value in asdict(settings).items() if name not in LOCAL}
    folder.open(recorded, source.inputs())
    model_folder, winner = METHODS[settings.method](settings, folder, source)
    write_card(folder.path)
    print(
        f"\nBest of {settings.num_trials} candidates: trial {winner.id}, held-out loss {winner.scores['loss']:.4f}.\n"
        f"The model is in {model_folder}. To load it:\n\n"
        "    import autobert_hf\n"
        "    from transformers import AutoModelForMaskedLM\n"
        f'    model = AutoModelForMaskedLM.from_pretrained("{model_folder}")\n'
    )
    return 0


def parse_settings(arguments: Sequence[str]) -> SearchSettings:
    """Command line over the YAML file behind --config over defaults."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--config", help="YAML file with any of the settings; the command line wins.")
    given, rest = first.parse_known_args(arguments)
    parser = HfArgumentParser(SearchSettings, prog="autobert search", parents=[first])
    if given.config:
        defaults = read_yaml(Path(given.config))
        parser.set_defaults(**defaults)
        for action in parser._actions:
            if action.dest in defaults:
                action.required = False
    settings, _ = parser.parse_args_into_dataclasses(args=rest, args_filename=None, look_for_args_file=False)
    return settings


def read_yaml(path: Path) -> dict[str, object]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} cannot be read: {error}") from error
    known = {field.name for field in fields(SearchSettings)}
    if not isinstance(data, dict) or (unknown := set(data) - known):
        raise UsageError(
            f"--config {path} holds {sorted(unknown) if isinstance(data, dict) else 'no settings'}; "
            f"known are {', '.join(sorted(known))}."
        )
    return data


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"search": search_command}
