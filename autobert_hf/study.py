"""The results in a search's folder as a Python object."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf.hub_cards.page import write_report
from autobert_hf.lab.training.accelerate_state import AccelerateState
from autobert_hf.lab.training.team import Team
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM
from autobert_hf.records import study as records
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.files import disk_errors
from autobert_hf.records.goals import Goals, Limits
from autobert_hf.records.run_folder import RunError, RunFolder, read_report
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import StudyError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.method import Method, within
from autobert_hf.searchers.run import Run


if TYPE_CHECKING:
    from pandas import DataFrame


class Study:
    """
    The results of a search in the folder `path`: `trials`, the `best` trial, the Pareto `front` and the `picks`, which
    become models. `kind`: the class of the search method, needed if it is not in `METHODS`.
    """

    def __init__(
        self,
        path: Path,
        data: records.Study,
        kind: type[Method] | None = None,
        method: Method | None = None,
        state: AccelerateState | None = None,
    ) -> None:
        self.path = path
        self.data = data
        self.kind = kind
        self._method = method
        self._state = state or AccelerateState()

    def __repr__(self) -> str:
        failed = sum(trial.status == "failed" for trial in self.trials)
        parts = [f"{len(self.trials)} trials" + (f", {failed} failed" if failed else "")]
        parts += ["complete" if self.complete else "not complete"]
        if any(trial.ok for trial in self.trials):
            score = f"{self.goals.main.name} {self.goals.main.shown(self.best.scores)}"
            parts += [f"best: trial {self.best.id}, {score}"]
        return f"Study({str(self.path)!r}: {'; '.join(parts)})"

    @property
    def trials(self) -> list[Trial]:
        """
        All trials, in order. Where shared weights improved from round to round, their scores are those that the last
        weights gave or, for trials that were not scored again, would give (docs/methods.md).
        """
        return self.data.trials

    @property
    def goals(self) -> Goals:
        return self.data.goals

    @property
    def best(self) -> Trial:
        """
        The best trial by the main goal.

        Raises:
            StudyError: if no trial has finished.
        """
        return self.data.best

    @property
    def complete(self) -> bool:
        """Whether repeating the search would add nothing: its budget is used up and its models exist."""
        return self.data.complete

    @property
    def is_of_function(self) -> bool:
        """Whether the trials were scored by a function; then there is no method."""
        return "method" not in RunFolder(self.path).read("run.json")["settings"]

    def front(self, limits: Limits | None = None) -> list[Trial]:
        """The Pareto front, best first by the main goal; with `limits`, the front of the trials within them."""
        return self.data.front() if limits is None else self.goals.front(within(self.data, limits))

    def picks(self, limits: Limits | None = None) -> dict[str, Trial]:
        """The trials that become models, by folder name: the method's choice, or the best within `limits`."""
        if self.is_of_function:
            return {"model": self.goals.best(within(self.data, limits or Limits()))[0]}
        with self.opened() as method:
            return method.picks(self.data, limits)

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """
        A trial as a model: after its final training (`train` is True), with the weights that it was scored with
        (False), or as the method's runs end (None). For a search by a function, an untrained masked language model, if
        the names in its architectures are fields of `AutoBertConfig`.

        Raises:
            StudyError: if the trial has no such model.
        """
        if self.is_of_function:
            if train:
                raise StudyError(f"{self.path} was searched by a function, which has no final training.")
            return untrained(trial.architecture, trial.seed)
        with self.opened() as method:
            return method.model(trial, train)

    def report(self) -> Path:
        """Writes figures and one HTML page; returns the path of the page."""
        with disk_errors(self.path / "report"):
            return write_report(self.path)

    def to_pandas(self) -> "DataFrame":
        """One row per trial; settings of the architecture in columns `setting_NAME`, scores in `score_NAME`."""
        from pandas import DataFrame  # slow to import, and only needed here

        settings = [{f"setting_{n}": trial.architecture[n] for n in trial.architecture} for trial in self.trials]
        return DataFrame([row | own for row, own in zip(self.data.to_rows(), settings, strict=True)])

    @contextmanager
    def opened(self) -> Iterator[Method]:
        """
        The method of the run, opened; inside `with`, Accelerate's state is that of this run.

        Raises:
            RunError: if there is no method, or an unknown one.
        """
        with self._state:
            if self._method is None:
                self._method = reopen(self.path, self.kind)
            yield self._method


def untrained(architecture: Architecture, seed: int) -> AutoBertForMaskedLM:
    """
    A model with random weights, deterministic in `seed`; sizes not in the architecture are those of BERT-base.

    Raises:
        StudyError: if it has settings that are not fields of `AutoBertConfig`.
    """
    known = {field.name for field in fields(AutoBertConfig)}
    if unknown := [name for name in architecture if name not in known]:
        raise StudyError(
            f"AutoBertConfig has no field {' or '.join(unknown)}, so the model cannot be built here: build it "
            "yourself from trial.architecture."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialise"))
        return AutoBertForMaskedLM(architecture.to_config(AutoBertConfig(untrained=True)))


def reopen(path: Path, kind: type[Method] | None = None) -> Method:
    """
    The method of an existing run. Opening writes nothing; making models may.

    Raises:
        RunError: if there is no run, or its method or settings are unknown to this version.
    """
    settings = RunFolder(path).read("run.json")["settings"]
    if "method" not in settings:
        raise RunError(
            f"{path} was searched by a function, which leaves scores and no models. In Python "
            f"`autobert_hf.load_study({str(path)!r}).model(trial)` builds one if its choices are fields of "
            "AutoBertConfig."
        )
    kind = kind or METHODS.get(settings["method"])
    if kind is None:
        raise RunError(
            f"{path} was searched by {settings['method']}, which is none of {', '.join(METHODS)}. A class of your own "
            f"is given by `autobert_hf.load_study({str(path)!r}, method={settings['method']})`; else another version "
            "of autobert-hf made it: use that one."
        )
    if set(settings) - {field.name for field in fields(kind.Settings)}:
        raise RunError(f"{path} was made by another version of autobert-hf: use that one.")
    places = read_report(path / "local.json").get("places", {})
    chosen = kind.Settings(output_dir=str(path), **settings | places)
    team = Team(Accelerator(mixed_precision=chosen.mixed_precision, cpu=not torch.accelerator.is_available()))
    return kind(Run(path, chosen.seed, team), chosen)


def load_study(output_dir: str | Path, method: type[Method] | None = None) -> Study:
    """
    The study in the folder of a run, finished or not. For models of a run of your own `Method` class, pass the class
    as `method`.

    Raises:
        RunError, StudyError: if there is no run, or it has no study yet.
    """
    path = Path(output_dir)
    folder = RunFolder(path)
    settings = folder.read("run.json")["settings"]  # raises a clear error if there is no run
    wanted = read_report(path / "local.json").get("num_trials", 0)
    data = records.Study.read(path, num_trials=wanted)
    if "method" in settings:  # a search may end before its budget, and models are made after it
        ended = read_report(path / "report" / "picks.json").get("num_trials")
        data = replace(data, complete=ended == wanted)
    return Study(path, data, method)
