"""`autobert search`: settings from the command line and a YAML file, a run folder, a method, and what it found."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import NoReturn

import torch
import yaml
from accelerate import PartialState
from transformers import HfArgumentParser

from autobert_hf.hub_cards.card import write_card
from autobert_hf.lab.training.team import warn_of_missing_processes
from autobert_hf.lab.training.trainer import default_precision
from autobert_hf.records.files import disk_errors
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.settings.search_settings import SearchSettings


# Settings that say where things are on this machine; they may change between two calls of one run.
LOCAL = {"output_dir", "train_file", "validation_file", "cpu", "num_trials", "latency_error"}

# How YAML writes that a setting has no value.
NOTHING: tuple[list[str], ...] = ([], [""], ["null"], ["~"])


class UsageError(ValueError):
    """The command line or the file behind --config asks for something that does not exist."""


def search_command(arguments: Sequence[str]) -> int:
    """Text in, searched model out."""
    settings = parse_settings(arguments)
    # On a CPU Accelerate joins processes only if told to; else each would search alone, in the same folder.
    settings.cpu = settings.cpu or not torch.accelerator.is_available()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    warn_of_missing_processes()
    folder = RunFolder(Path(settings.output_dir))
    team = PartialState(cpu=settings.cpu)
    if settings.mixed_precision == "auto":  # what a run records is what it ran with, here and on the next machine
        settings.mixed_precision = default_precision(settings.cpu)
    recorded = {name: value for name, value in asdict(settings).items() if name not in LOCAL}
    recorded["proxy_task"] = [public_name(spec) for spec in settings.proxy_task]
    if team.is_main_process:
        folder.open(recorded, settings.inputs(), {"num_trials": settings.num_trials})
    team.wait_for_everyone()
    job = Job(settings, folder, settings.source())
    job.load_tasks()
    method, model_folder = METHODS[settings.method](job, settings), folder.path / "model"
    space = job.profile(method.space)
    if space is not None and team.is_main_process:
        print(space, flush=True)
    winner = method.run()
    model = method.trained(winner, "training")
    job.save(model, model_folder)
    further = method.further()
    for name, trial in further.items():
        job.save(method.trained(trial, f"training-{trial.id:06d}"), folder.path / name)
    job.end()
    if not team.is_main_process:
        return 0
    with disk_errors(model_folder):
        write_card(folder.path)
        for name, trial in further.items():
            write_card(folder.path, folder.path / name, trial.id)
    main = job.goals.main
    kind = "AutoModel" if model.base_model is model else "AutoModelForMaskedLM"
    print(
        f"\nThe best candidate is trial {winner.id}, {main.label} {winner.scores[main.name]:.4f}.\n"
        f"The model is in {model_folder}. To load it:\n\n"
        "    import autobert_hf\n"
        f"    from transformers import {kind}\n"
        f'    model = {kind}.from_pretrained("{model_folder}")\n'
    )
    return 0


def public_name(spec: str) -> str:
    """A proxy task as the run records it: of a folder its name, since a path says something of this machine."""
    name, at, metric = spec.partition("@")
    return f"{Path(name).name}{at}{metric}" if Path(name).exists() else spec


class Parser(HfArgumentParser):
    """Complains as everything else here does: one sentence, no usage text before it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `{self.prog} --help` says what each setting takes.")


def parse_settings(arguments: Sequence[str]) -> SearchSettings:
    """Command line over the YAML file behind --config over the method's defaults."""
    first = Parser(prog="autobert search", add_help=False, allow_abbrev=False)
    first.add_argument("--config", help="YAML file with any of the settings; the command line wins.")
    given, rest = first.parse_known_args(arguments)
    from_file = read_yaml(Path(given.config)) if given.config else {}
    kind = settings_of(rest, str(from_file.get("method", SearchSettings.method)))
    # transformers annotates a type that no class can be of
    parser = Parser(kind, prog="autobert search", parents=[first])  # type: ignore[arg-type]
    if given.config:
        here = {part.partition("=")[0].removeprefix("--").replace("-", "_") for part in rest if part.startswith("--")}
        from_file = {name: value for name, value in from_file.items() if name not in here}
        rest = [*yaml_arguments(Path(given.config), from_file, kind, parser), *rest]
    settings, _, unknown = parser.parse_args_into_dataclasses(rest, True, look_for_args_file=False)
    if unknown:
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    return settings


def settings_of(arguments: Sequence[str], default: str) -> type[SearchSettings]:
    """What the method that is asked for can be told."""
    parser = Parser(prog="autobert search", add_help=False, allow_abbrev=False)
    parser.add_argument("--method", default=default)
    name = parser.parse_known_args(arguments)[0].method
    if name not in METHODS:
        raise UsageError(f"--method {name} is unknown: use one of {', '.join(METHODS)}.")
    return METHODS[name].Settings


def yaml_arguments(path: Path, data: dict[str, object], kind: type[SearchSettings], parser: Parser) -> list[str]:
    """
    The settings of a YAML file as command-line arguments. Scalars are taken as they are written, so that `no` is a
    precision and `1e-3` a number; the parser knows the types.
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
        known = ", ".join(sorted(field.name for field in fields(SearchSettings)))
        raise UsageError(f"--config {path} holds no settings: write `name: value` lines; known are {known}.")
    return data
