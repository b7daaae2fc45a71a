"""`autobert search`: reads settings from the command line and a YAML file, and runs a search."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from autobert_hf.api import Study, method_named, search_run
from autobert_hf.hub_cards.architecture import Network
from autobert_hf.searchers.settings import SearchSettings
from autobert_hf.searchers.settings.given import preset_of


# How YAML writes an empty value.
NOTHING: tuple[list[str], ...] = ([], [""], ["null"], ["~"])


class UsageError(ValueError):
    """The command line or the file of --config has an unknown or invalid setting."""


def search_command(arguments: Sequence[str]) -> int:
    """Runs a search from text to a trained model, and prints a summary. Returns 0."""
    settings = parse_settings(arguments)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    study = search_run(settings, lambda summary: print(summary, flush=True))
    with study.opened() as method:
        if method.run.team.is_main:
            print(summary_of(study))
        method.run.team.end()
    return 0


def summary_of(study: Study) -> str:
    """A message with the best candidate, and how to load its model."""
    picks, main = study.picks(), study.goals.main
    name, trial = next(iter(picks.items()), ("", study.best))
    found = f"\nThe best candidate is trial {trial.id}, {main.label} {main.shown(trial.scores)}.\n"
    if not picks:
        return f"{found}The method made no model of it."
    folder = study.path / name
    network = Network(folder)
    others = [*picks][1:]
    more = f" Others of the front are in {others[0]} to {others[-1]} beside it." if len(others) > 1 else ""
    return (
        f"{found}The model is in {folder}.{more} To load it:\n\n"
        "    import autobert_hf\n"
        f"    from transformers import {network.auto_class}\n"
        f"    model = {network.loading(str(folder))}\n"
    )


class Parser(HfArgumentParser):
    """Reports an error as one sentence, without a usage text."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """transformers passes on all metadata of a setting; argparse does not know ours."""
        ours = ("least", "local", "place")
        return super().add_argument(*names, **{key: options[key] for key in options if key not in ours})

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removesuffix('.')}. `{self.prog} --help` says what each setting takes.")


def parse_settings(arguments: Sequence[str]) -> SearchSettings:
    """Settings from the command line, else from the YAML file of --config, else the method's defaults."""
    first = Parser(prog="autobert search", add_help=False, allow_abbrev=False)
    first.add_argument("--config", help="YAML file with any of the settings; the command line wins.")
    given, rest = first.parse_known_args(arguments)
    from_file = read_yaml(Path(given.config)) if given.config else {}
    kind = settings_of(rest, str(from_file.get("method", SearchSettings.method)))
    # transformers' annotation fits no class
    parser = Parser(kind, prog="autobert search", parents=[first])  # type: ignore[arg-type]
    if given.config:
        here = {part.partition("=")[0].removeprefix("--").replace("-", "_") for part in rest if part.startswith("--")}
        from_file = {name: value for name, value in from_file.items() if name not in here}
        rest = [*yaml_arguments(Path(given.config), from_file, kind, parser), *rest]
    parser.set_defaults(**preset_of(kind, parser.parse_known_args(rest)[0].preset))
    settings, _, unknown = parser.parse_args_into_dataclasses(rest, True, look_for_args_file=False)
    if unknown:
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    return settings


def settings_of(arguments: Sequence[str], default: str) -> type[SearchSettings]:
    """The settings class of the requested method."""
    parser = Parser(prog="autobert search", add_help=False, allow_abbrev=False)
    parser.add_argument("--method", default=default)
    return method_named(parser.parse_known_args(arguments)[0].method).Settings


def yaml_arguments(path: Path, data: dict[str, object], kind: type[SearchSettings], parser: Parser) -> list[str]:
    """
    The settings of a YAML file as command-line arguments. Scalars are kept as text, so that `no` is a precision and
    `1e-3` a number; the parser converts them.
    """
    known = sorted(field.name for field in fields(kind))
    if unknown_names := sorted(set(data) - set(known), key=str):
        raise UsageError(f"--config {path} holds {', '.join(map(repr, unknown_names))}; known are {', '.join(known)}.")
    arguments: list[str] = []
    for name, value in data.items():
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
    if not isinstance(data, dict):
        known = ", ".join(sorted(field.name for field in fields(method_named(SearchSettings.method).Settings)))
        raise UsageError(f"--config {path} holds no settings: write `name: value` lines; known are {known}.")
    return data
