"""Conformance checks for methods."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, PreTrainedModel

from autobert_hf.api import open_run
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.records.journal import JournalError, read_journal
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.testing.interruption import Events, Interrupted, watched


@dataclass
class Outcome:
    """The results of a run: its study, the trials picked, and the weights of the models made from them."""

    method: Method
    study: Study
    picks: dict[str, Trial]
    models: dict[str, dict[str, Tensor]]


def check_method(kind: type[Method], settings: Callable[[Path], SearchSettings], lives: int = 4) -> None:
    """
    A run that is interrupted `lives - 1` times and resumed gives the same results as an uninterrupted one: the same
    architectures, the same scores (except measured ones, which are read from the journal), the same models. Picks, if
    any, are trials of the study; `model(trial, train=False)` is the network that was scored; saved models load with
    AutoModel. `settings(folder)` returns the settings of a run in this folder: small, in fp32 and, if the search
    depends on measured times, with a deterministic replacement of the clock.

    Raises:
        AssertionError: if a rule is broken.
    """
    with TemporaryDirectory() as folder:
        smooth, interrupted = Path(folder, "smooth"), Path(folder, "interrupted")
        events = Events()
        whole = _live(kind, settings(smooth), events)
        _check_outcome(whole)
        again = _in_pieces(kind, settings, interrupted, lives, len(events.happened) // lives + 1)
        _check_same(whole, again)


def _in_pieces(
    kind: type[Method], settings: Callable[[Path], SearchSettings], folder: Path, lives: int, size: int
) -> Outcome:
    """Interrupts all lives but the last after `size` events; existing lines of a journal must not change."""
    before: dict[Path, list[dict[str, Any]]] = {}
    for life in range(1, lives + 1):
        try:
            found = _live(kind, settings(folder), Events(size if life < lives else math.inf))
        except Interrupted:
            continue
        except JournalError as error:
            raise AssertionError(f"a resumed process asks for other trials than the one before: {error}") from error
        finally:
            now = {path: read_journal(path) for path in folder.glob("journal*.jsonl")}
            for path, lines in before.items():
                assert now.get(path, [])[: len(lines)] == lines, (
                    f"a resumed process has changed existing lines of {path.name}"
                )
            before = now
        return found
    raise AssertionError("the last process was not interrupted")


def _live(kind: type[Method], settings: SearchSettings, events: Events) -> Outcome:
    """The run in one process, until its end or an interruption."""
    with watched(events), open_run(settings) as run:
        method = kind(run, settings)
        study = method.study()
        assert study.trials, "the study has no trials"
        picks = method.picks(study)
        models = {name: method.model(trial) for name, trial in picks.items()}
        for name, model in models.items():
            method.save(model, run.path / name)
    return Outcome(method, study, picks, {name: _state(model) for name, model in models.items()})


def _state(model: PreTrainedModel) -> dict[str, Tensor]:
    """Weights of the bare encoder."""
    return {name: tensor.detach().clone() for name, tensor in model.base_model.state_dict().items()}


def _check_outcome(whole: Outcome) -> None:
    method, study = whole.method, whole.study
    _check_judged(method, study.best)
    for name, trial in whole.picks.items():
        assert trial in study.trials, f"{name} is picked, and is no trial of the study"
        assert trial.ok, f"{name} is picked, and is {trial.status}"
        assert method.space.contains(trial.architecture), f"{name} is not in the space"
        _check_judged(method, trial)
        loaded = AutoModel.from_pretrained(method.run.path / name)
        shared = whole.models[name].keys() & loaded.state_dict().keys()
        assert shared, f"{name}, saved and loaded with AutoModel, has none of the model's weights"
        for key in shared:
            assert torch.equal(whole.models[name][key], loaded.state_dict()[key]), f"{name} loads with another {key}"


def _check_judged(method: Method, trial: Trial) -> None:
    """The network of `train=False` has the loss recorded for the trial, if that is a held-out loss."""
    model = method.model(trial, train=False)
    assert not model.training, "a model is returned in training mode"
    if method.loss is None or method.text is None or "loss" not in trial.scores:
        return
    loss, judged = HeldOut(method.loss, method.text.held_out, method.run.team)(model), trial.scores["loss"]
    assert abs(loss - judged) <= 1e-4 * abs(judged), (
        f"model(trial, train=False) has the held-out loss {loss:.6f}; trial {trial.id} was judged with {judged:.6f}"
    )


def _check_same(whole: Outcome, again: Outcome) -> None:
    measured = {goal.name for goal in whole.study.goals.goals if goal.cost == "measured"}
    assert len(again.study.trials) == len(whole.study.trials), "an interrupted study has another number of trials"
    for one, other in zip(whole.study.trials, again.study.trials, strict=True):
        assert other.proposal == one.proposal, f"interrupted, trial {one.id} is {other.proposal}, not {one.proposal}"
        assert other.status == one.status, f"interrupted, trial {one.id} is {other.status}, not {one.status}"
        for name in one.scores.keys() - measured:
            assert other.scores[name] == one.scores[name], (
                f"interrupted, trial {one.id} has the {name} {other.scores[name]}, not {one.scores[name]}"
            )
    numbers = [{name: trial.id for name, trial in end.picks.items()} for end in (whole, again)]
    assert numbers[0] == numbers[1], f"interrupted, {numbers[1]} are picked, not {numbers[0]}"
    for name, state in whole.models.items():
        for key, tensor in state.items():
            torch.testing.assert_close(
                again.models[name][key], tensor, rtol=1e-5, atol=1e-6, msg=f"interrupted, {name} has another {key}"
            )
