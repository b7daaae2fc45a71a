"""The command line: `autobert COMMAND`, also `python -m autobert_hf` and `accelerate launch -m autobert_hf`."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import NoReturn

import yaml
from accelerate import PartialState
from transformers import HfArgumentParser

from autobert_hf.commands.analyze import analyze_command
from autobert_hf.commands.convert import convert_command
from autobert_hf.commands.status import status_command
from autobert_hf.commands.variants import ablate_command, scale_command
from autobert_hf.commands.zoo import zoo_command
from autobert_hf.hub_cards.card import write_card
from autobert_hf.lab.corpus import Source
from autobert_hf.lab.files import disk_errors
from autobert_hf.lab.parallel import TeamError
from autobert_hf.lab.run_folder import RunFolder
from autobert_hf.lab.train import TrainingError, default_precision
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.settings import SearchSettings


# Settings that say where things are on this machine; they may change between two calls of one run.
LOCAL = {"output_dir", "train_file", "validation_file", "cpu", "num_trials"}

# How YAML writes that a setting has no value.
NOTHING: tuple[list[str], ...] = ([], [""], ["null"], ["~"])


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
    except (OSError, TeamError, TrainingError, ValueError) as error:
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
    team = PartialState(cpu=settings.cpu)
    if settings.mixed_precision == "auto":  # what a run records is what it ran with, here and on the next machine
        settings.mixed_precision = default_precision(settings.cpu)
    recorded = {name: value for name, value in asdict(settings).items() if name not in LOCAL}
    if team.is_main_process:
        folder.open(recorded, source.inputs(), {"num_trials": settings.num_trials})
    team.wait_for_everyone()
    model_folder, winner = METHODS[settings.method](settings, folder, source)
    if not team.is_main_process:
        return 0
    with disk_errors(model_folder):
        write_card(folder.path)
    print(
        f"\nThe best candidate is trial {winner.id}, held-out loss {winner.scores['loss']:.4f}.\n"
        f"The model is in {model_folder}. To load it:\n\n"
        "    import autobert_hf\n"
        "    from transformers import AutoModelForMaskedLM\n"
        f'    model = AutoModelForMaskedLM.from_pretrained("{model_folder}")\n'
    )
    return 0


class Parser(HfArgumentParser):
    """Complains as everything else here does: one sentence, no usage text before it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `{self.prog} --help` says what each setting takes.")


def parse_settings(arguments: Sequence[str]) -> SearchSettings:
    """Command line over the YAML file behind --config over defaults."""
    first = Parser(prog="autobert search", add_help=False, allow_abbrev=False)
    first.add_argument("--config", help="YAML file with any of the settings; the command line wins.")
    given, rest = first.parse_known_args(arguments)
    # transformers annotates a type that no class can be of
    parser = Parser(SearchSettings, prog="autobert search", parents=[first])  # type: ignore[arg-type]
    if given.config:
        rest = [*yaml_arguments(Path(given.config), parser), *rest]
    settings, _, unknown = parser.parse_args_into_dataclasses(rest, True, look_for_args_file=False)
    if unknown:
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    return settings


def yaml_arguments(path: Path, parser: Parser) -> list[str]:
    """
    The settings of a YAML file as command-line arguments. Scalars are taken as they are written, so that `no` is a
    precision and `1e-3` a number; the parser knows the types.
    """
    arguments: list[str] = []
    for name, value in read_yaml(path).items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in values):
            raise UsageError(f"--config {path}: {name} holds {value}; give a value or a list of values.")
        if values not in NOTHING:
            arguments += [f"--{name}", *values]
    try:
        _, unknown = parser.parse_known_args(["--output_dir", "", *arguments])
        if unknown:
            parser.error(f"{' '.join(unknown)}: more values than the setting takes")
    except UsageError as error:
        raise UsageError(f"--config {path}: {error}") from error
    return arguments


def read_yaml(path: Path) -> dict[str, object]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} cannot be read: {' '.join(str(error).split())}") from error
    known = sorted(field.name for field in fields(SearchSettings))
    if not isinstance(data, dict):
        raise UsageError(
            f"--config {path} holds no settings: write `name: value` lines; known are {', '.join(known)}."
        )
    if unknown := sorted(set(data) - set(known), key=str):
        raise UsageError(f"--config {path} holds {', '.join(map(repr, unknown))}; known are {', '.join(known)}.")
    return data


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "search": search_command,
    "convert": convert_command,
    "status": status_command,
    "analyze": analyze_command,
    "zoo": zoo_command,
    "ablate": ablate_command,
    "scale": scale_command,
}
