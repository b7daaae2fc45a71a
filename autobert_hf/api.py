"""The library: a search, and the study that it leaves, as objects of Python."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from accelerate import Accelerator, PartialState
from transformers import PreTrainedModel

from autobert_hf.hub_cards.card import write_card
from autobert_hf.hub_cards.page import write_report
from autobert_hf.lab.training.accelerate_state import AccelerateState
from autobert_hf.lab.training.recipe import default_precision
from autobert_hf.lab.training.team import Team, warn_of_missing_processes
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM
from autobert_hf.records import study as records
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.files import disk_errors
from autobert_hf.records.goals import Goals, Limits, arithmetic_scores
from autobert_hf.records.run_folder import RunError, RunFolder, read_report
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import StudyError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.evaluators.function import source_digest
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.method import Method, within
from autobert_hf.searchers.own_function import OwnSearch
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import SearchSettings
from autobert_hf.searchers.settings.given import refuse_unknown, settings_from
from autobert_hf.searchers.space_summary import SpaceSummary, space_summary
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy


if TYPE_CHECKING:
    from pandas import DataFrame


class Study:
    """
    What a search has found, in the folder `path`: `trials`, the `best` of them, the `front` and the `picks` that
    become models. `kind` is the method that searched; None for a search by a function.
    """

    def __init__(self, path: Path, data: records.Study, kind: type[Method] | None = None) -> None:
        self.path = path
        self.data = data
        self.kind = kind
        self._state = AccelerateState()
        self._method: Method | None = None

    def __repr__(self) -> str:
        failed = sum(trial.status == "failed" for trial in self.trials)
        parts = [f"{len(self.trials)} trials" + (f", {failed} failed" if failed else "")]
        parts += ["complete" if self.complete else "not complete"]
        if any(trial.ok for trial in self.trials):
            score = f"{self.goals.main.name} {self.best.scores[self.goals.main.name]:.4g}"
            parts += [f"best: trial {self.best.id}, {score}"]
        return f"Study({str(self.path)!r}: {'; '.join(parts)})"

    @property
    def trials(self) -> list[Trial]:
        return self.data.trials

    @property
    def goals(self) -> Goals:
        return self.data.goals

    @property
    def best(self) -> Trial:
        """
        By the main goal.

        Raises:
            StudyError: if no trial has finished.
        """
        return self.data.best

    @property
    def complete(self) -> bool:
        """Whether the same search would add nothing: its budget is used up, and its models are there."""
        return self.data.complete

    def front(self, limits: Limits | None = None) -> list[Trial]:
        """The trials that no other beats, by the main goal; with `limits` of those within them."""
        return self.goals.front(self.trials if limits is None else within(self.data, limits))

    def picks(self, limits: Limits | None = None) -> dict[str, Trial]:
        """The trials that become models, by the name of their folder: as the method picks them, or within `limits`."""
        if self.kind is None:
            return {"model": self.goals.best(within(self.data, limits or Limits()))[0]}
        with self.opened() as method:
            return method.picks(self.data, limits)

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """
        A trial as a model: with its final training (`train`), with the weights it was judged by (False), or as the
        method's runs end (None). Of a search by a function a new masked language model, if its architectures name
        fields of `AutoBertConfig`.

        Raises:
            StudyError: if there is no such model.
        """
        if self.kind is None:
            if train:
                raise StudyError(f"{self.path} was searched by a function, which has no final training.")
            return untrained(trial.architecture, trial.seed)
        with self.opened() as method:
            return method.model(trial, train)

    def report(self) -> Path:
        """Figures and one HTML page; returns its path."""
        with disk_errors(self.path / "report"):
            return write_report(self.path)

    def to_pandas(self) -> "DataFrame":
        """A row a trial; what its architecture is made of in columns `setting_NAME`, scores in `score_NAME`."""
        from pandas import DataFrame  # slow to import, and needed here alone

        settings = [{f"setting_{n}": trial.architecture[n] for n in trial.architecture} for trial in self.trials]
        return DataFrame([row | own for row, own in zip(self.data.to_rows(), settings, strict=True)])

    @contextmanager
    def opened(self) -> Iterator[Method]:
        """
        The method with everything that it needs; inside, Accelerate has the precision of this run.

        Raises:
            StudyError: if there is none.
        """
        if self.kind is None:
            raise StudyError(
                f"{self.path} was searched by a function, which leaves scores and no models: build one in Python, "
                f'`autobert_hf.load_study("{self.path}").model(trial)`.'
            )
        with self._state:
            if self._method is None:
                self._method = reopen(self.path, self.kind)
            yield self._method


@overload
def search(
    method: str | type[Method], *, output_dir: str | Path, version: str = "", **settings: Any
) -> Study: ...


@overload
def search(
    *,
    space: Space,
    evaluator: Callable[..., Mapping[str, float]] | Evaluator,
    goals: Mapping[str, str] | Goals,
    output_dir: str | Path,
    trials: int = 100,
    strategy: str | Strategy = "evolution",
    seed: int = 0,
    catch: type[Exception] | Sequence[type[Exception]] = (),
    version: str = "",
    pruner: Pruner | None = None,
) -> Study: ...


def search(method: str | type[Method] | None = None, **given: Any) -> Study:
    """
    Searches, or goes on with the search in `output_dir`; whatever was finished there is not done again.

    With a `method`, by its name (`autobert search --help`) or a class of your own, the other arguments are its
    settings, and its models are saved. Without one, give a `space` and an `evaluator`, a function from an architecture
    to a dictionary of scores, with `goals` such as `{"loss": "min"}`, and a number of `trials`; more: `OwnSearch`.

    Raises:
        ValueError: for what the command line would refuse too, in the same words.
    """
    if "output_dir" not in given:
        raise TypeError("search() needs output_dir, the folder of the run")
    try:
        return search_method(method, **given) if method is not None else search_function(**given)
    except KeyboardInterrupt:
        if "ipykernel" not in sys.modules or Goals.read(Path(given["output_dir"])) is None:
            raise
        # In a notebook a Ctrl-C means "enough", and the cells below go on with what there is.
        study = load_study(given["output_dir"], method if isinstance(method, type) else None)
        study.data = replace(study.data, complete=False)
        return study


def search_method(method: str | type[Method], version: str = "", **given: Any) -> Study:
    kind = method_named(method) if isinstance(method, str) else method
    name = next((name for name, known in METHODS.items() if known is kind), kind.__name__)
    return search_run(settings_from(kind.Settings, {**given, "method": name}), kind=kind, version=version)


def search_function(output_dir: str | Path, **given: Any) -> Study:
    refuse_unknown(given, signature(OwnSearch).parameters)
    own = OwnSearch(**given)
    state = PartialState(cpu=not torch.accelerator.is_available())
    folder = RunFolder(Path(output_dir))
    try:
        if state.is_main_process:
            folder.open(own.recorded(), own.inputs(), {"num_trials": own.number})
        state.wait_for_everyone()
        # Of the processes alone: a function may have an Accelerator of its own, of whatever precision.
        found = own.study(Run(folder.path, own.seed, Team(state)))
    finally:
        folder.release()
    return Study(folder.path, found)


def search_run(
    settings: SearchSettings,
    on_summary: Callable[[SpaceSummary], object] = id,
    kind: type[Method] | None = None,
    version: str = "",
) -> Study:
    """A method's whole run: the search, then models and cards of what it picks."""
    kind = kind or method_named(settings.method)
    is_ours = kind.__module__.startswith("autobert_hf.")
    own = {} if is_ours else {settings.method: version or source_digest(kind)}
    study = Study(Path(settings.output_dir), records.Study("", Goals(()), []), kind)
    with study._state:
        run, folder = open_run(settings, own)
        try:
            method = study._method = kind(run, settings)
            summarize(method, on_summary)
            study.data = method.study()
            save_picks(study, method)
        finally:
            folder.release()
    return study


def save_picks(study: Study, method: Method) -> None:
    """Models and cards; `report/picks.json` says that with this budget the run has ended."""
    run, picks = method.run, method.picks(study.data)
    for name, trial in picks.items():
        method.save(method.model(trial), run.path / name)
    if run.team.is_main:
        with disk_errors(run.path):
            for name, trial in picks.items():
                write_card(run.path, run.path / name, trial.id)
    numbers = {name: trial.id for name, trial in picks.items()}
    run.record("picks", {"num_trials": RunFolder(run.path).read("local.json")["num_trials"], "picks": numbers})
    run.team.wait()


def method_named(name: str) -> type[Method]:
    """
    Raises:
        ValueError: if there is none.
    """
    if name not in METHODS:
        raise ValueError(f"--method {name} is unknown: use one of {', '.join(METHODS)}.")
    return METHODS[name]


def open_run(settings: SearchSettings, code: Mapping[str, str] | None = None) -> tuple[Run, RunFolder]:
    """
    The folder and the processes of a run; defaults that depend on the machine are resolved here. `code` names, with a
    version, what of the method is not ours.
    """
    warn_of_missing_processes()
    # On a CPU Accelerate joins processes only if told to; else each would search alone, in the same folder.
    settings.cpu = settings.cpu or not torch.accelerator.is_available()
    state = PartialState(cpu=settings.cpu)
    if settings.mixed_precision == "auto":  # what a run records is what it ran with, here and on the next machine
        settings.mixed_precision = default_precision(settings.cpu)
    folder = RunFolder(Path(settings.output_dir))
    try:
        if state.is_main_process:
            inputs = settings.inputs() | dict(code or {})
            folder.open(settings.recorded(), inputs, {"num_trials": settings.num_trials})
        state.wait_for_everyone()
        team = Team(Accelerator(mixed_precision=settings.mixed_precision, cpu=settings.cpu))
    except BaseException:
        folder.release()
        raise
    return Run(folder.path, settings.seed, team), folder


def summarize(method: Method, on_summary: Callable[[SpaceSummary], object]) -> None:
    """What there is to choose from, counted before anything is trained; told once in a run."""
    base, run = method.base, method.run
    if base is None or (run.path / "report" / "space.json").exists():
        return
    limits = Limits({name: most for name, most in method.goals.limits.most.items() if name in ("parameters", "flops")})
    found = space_summary(method.space, lambda one: arithmetic_scores(one.to_config(base)), limits, run.seed)
    run.team.wait()
    run.record("space", found.to_dict())
    if run.team.is_main:
        on_summary(found)


def reopen(path: Path, kind: type[Method] | None = None) -> Method:
    """
    The method of a run as it stands. Reads only, beyond what its models write.

    Raises:
        RunError: if there is no run, or one with settings that this version does not know.
    """
    settings = RunFolder(path).read("run.json")["settings"]
    kind = kind or kind_of(path, settings)
    if kind is None or set(settings) - {field.name for field in fields(kind.Settings)}:
        raise RunError(f"{path} was made by another version of autobert-hf: use that one.")
    chosen = kind.Settings(output_dir=str(path), **settings)
    team = Team(Accelerator(mixed_precision=chosen.mixed_precision, cpu=not torch.accelerator.is_available()))
    return kind(Run(path, chosen.seed, team), chosen)


def load_study(output_dir: str | Path, method: type[Method] | None = None) -> Study:
    """
    The study in the folder of a run, finished or not. `method` is the class of a run that was searched by one of your
    own.

    Raises:
        RunError, StudyError: if there is none.
    """
    path = Path(output_dir)
    folder = RunFolder(path)
    settings = folder.read("run.json")["settings"]  # says it better than a missing study does
    wanted = folder.read("local.json").get("num_trials", 0)
    data = records.Study.read(path, num_trials=wanted)
    if "method" in settings:  # some search through fewer trials than they may
        ended = read_report(path / "report" / "picks.json").get("num_trials") == wanted
        data = replace(data, complete=ended)
    return Study(path, data, method or kind_of(path, settings))
