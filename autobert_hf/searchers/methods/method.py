"""What a published system has to be able to do, and what all of them do alike."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals, Limits
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.study import Study, StudyError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.supernets.supernet import Supernet


class Method(ABC):
    """
    One run of a published system. `Settings` is what it can be told; the attributes are what tools ask for, and a tool
    refuses a run of a method that leaves one of them empty.
    """

    Settings: ClassVar[type[SearchSettings]]

    run: Run
    space: Space
    goals: Goals
    base: AutoBertConfig | None = None  # what the search leaves alone
    text: Text | None = None
    loss: Loss | None = None
    evaluator: Evaluator | None = None
    supernets: dict[str, Supernet] = {}

    @abstractmethod
    def __init__(self, run: Run, settings: Any) -> None: ...  # noqa: ANN401 (its own Settings)

    @abstractmethod
    def study(self) -> Study:
        """Searches to the end of the budget; called again it goes on where it was stopped."""

    @abstractmethod
    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """
        A candidate as an ordinary model: with its final training (`train`), with the weights it was judged by (False),
        or as the method's runs end (None).

        Raises:
            StudyError: if the weights it was judged by were not kept.
        """

    def open_evaluator(self, folder: Path) -> Evaluator:
        """
        The evaluator with the shared weights that the run has come to, for tools that judge further candidates: what
        it writes goes to `folder`, the run stays as it is.

        Raises:
            RunError: if the method has no evaluator, or the run no such weights yet.
        """
        if self.evaluator is None:
            raise RunError(f"The method of {self.run.path} has no evaluator.")
        return self.evaluator

    def allowed(self, architecture: Architecture) -> bool:
        """Whether it keeps the limits by what is known without training."""
        known = self.evaluator.known(architecture) if self.evaluator else {}
        return self.goals.limits.broken_by(known) is None

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        """The trials that become models, by the name of their folder: the best one, within further `limits`."""
        return {"model": study.goals.best(within(study, limits or Limits()))[0]}

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Weights, configuration, code, and the tokenizer where there is one."""
        if self.run.team.is_main:
            save_model(model, self.text.tokenizer if self.text else None, folder)


def within(study: Study, limits: Limits) -> list[Trial]:
    """
    The finished trials within the limits.

    Raises:
        StudyError: if there are none, naming what comes closest.
    """
    done = [trial for trial in study.trials if trial.ok]
    if not done:
        raise StudyError("The study has no finished candidate yet: let the search go on.")
    names = [*limits.most, *limits.least]
    if unknown := [name for name in names if name not in done[0].scores]:
        raise StudyError(f"The study knows no {unknown[0]} of its candidates: the search did not measure it.")
    kept = [trial for trial in done if limits.broken_by(trial.scores) is None]
    if not kept:
        smallest = ", ".join(f"{min(trial.scores[name] for trial in done):,.4g} {name}" for name in names)
        raise StudyError(f"No candidate keeps within the limits; the smallest have {smallest}.")
    return kept
