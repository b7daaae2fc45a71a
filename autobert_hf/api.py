"""The library's face: a search, and the study that it leaves."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, overload

import torch
from accelerate import Accelerator

from autobert_hf.hub_cards.card import write_card
from autobert_hf.lab.training.accelerate_state import AccelerateState
from autobert_hf.lab.training.recipe import default_precision
from autobert_hf.lab.training.shared_folder import shared_folder
from autobert_hf.lab.training.team import Team, processes, warn_of_missing_processes
from autobert_hf.records.files import disk_errors
from autobert_hf.records.goals import Goals, Limits, arithmetic_scores
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.searchers.analysis.signal import record_signal
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.evaluators.function import source_digest
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.own_function import OwnSearch
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import SearchSettings
from autobert_hf.searchers.settings.given import refuse_unknown, settings_from
from autobert_hf.searchers.space_summary import space_summary
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy
from autobert_hf.searchers.tracking import Tracking, check_installed
from autobert_hf.study import Study, load_study, reopen


__all__ = ["Study", "load_study", "open_run", "reopen", "search", "search_run"]


@overload
def search(method: str | type[Method], *, output_dir: str | Path, version: str = "", **settings: Any) -> Study: ...


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
    if missing := [name for name in ("space", "evaluator", "goals") if method is None and name not in given]:
        raise TypeError(f"search() without a method also needs {', '.join(missing)}")
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
    path = Path(output_dir)
    # Of the processes alone: a function may have an Accelerator of its own, of whatever precision.
    team = Team(processes(cpu=not torch.accelerator.is_available()))
    local = {"num_trials": own.number}
    given = own.recorded() | {"trials": own.trials} | own.code()
    with shared_folder(path, team, given, lambda folder: folder.open(own.recorded(), {}, local, own.code())):
        found = own.study(Run(path, own.seed, team))
    return Study(path, found)


def search_run(
    settings: SearchSettings,
    on_summary: Callable[[object], object] = id,
    kind: type[Method] | None = None,
    version: str = "",
) -> Study:
    """A method's whole run: the search, then models and cards of what it picks."""
    kind = kind or method_named(settings.method)
    is_ours = kind.__module__.startswith("autobert_hf.")
    code = {} if is_ours else {settings.method: version or source_digest(kind)}
    with AccelerateState() as state, open_run(settings, code) as run:
        method = kind(run, settings)
        summarize(method, on_summary)
        found = method.study()
        if (warning := record_signal(method, found)["warning"]) and run.team.is_main:
            warnings.warn(warning, stacklevel=2)
        study = Study(run.path, found, kind, method, state)
        save_picks(study, method)
    return study


def save_picks(study: Study, method: Method) -> None:
    """Models and cards; `report/picks.json` says that with this budget the run has ended."""
    run, picks = method.run, study.picks()
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


@contextmanager
def open_run(settings: SearchSettings, code: Mapping[str, str] | None = None) -> Iterator[Run]:
    """
    The folder and the processes of a run, and what it tells its tracker; defaults that depend on the machine are
    resolved here. `code` names, with a version, what of the method is not ours.

    Raises:
        ValueError: if this run cannot be, here or with so many processes.
    """
    warn_of_missing_processes()
    check_installed(settings.report_to)
    settings.cpu = settings.cpu or not torch.accelerator.is_available()
    team, path = Team(processes(settings.cpu)), Path(settings.output_dir)
    settings.check_processes(team.size)
    if settings.mixed_precision == "auto":  # what a run records is what it ran with, here and on the next machine
        settings.mixed_precision = default_precision(settings.cpu)
    local = {"num_trials": settings.num_trials, "places": settings.places()}
    recorded = settings.recorded()
    given = recorded | {"num_trials": settings.num_trials} | dict(code or {})
    with shared_folder(path, team, given, lambda folder: folder.open(recorded, settings.inputs(), local, code)):
        tracker = None if settings.report_to == "none" else settings.report_to
        accelerator = Accelerator(
            mixed_precision=settings.mixed_precision,
            cpu=settings.cpu,
            log_with=tracker,
            project_dir=str(path / "trackers"),
        )
        tracking = Tracking(accelerator, recorded)
        try:
            yield Run(path, settings.seed, Team(accelerator), tracking)
        finally:
            tracking.end()


def summarize(method: Method, on_summary: Callable[[object], object]) -> None:
    """What there is to learn from and to choose from, counted before anything is trained; told once in a run."""
    base, run = method.base, method.run
    if base is None or (run.path / "report" / "space.json").exists():
        return
    limits = Limits({name: most for name, most in method.goals.limits.most.items() if name in ("parameters", "flops")})
    found = space_summary(method.space, lambda one: arithmetic_scores(one.to_config(base)), limits, run.seed)
    run.team.wait()
    if method.text is not None:
        run.record("text", method.text.facts)
    run.record("space", found.to_dict())
    if run.team.is_main:
        for summary in (method.text, method.teacher, found):
            if summary is not None:
                on_summary(summary)
