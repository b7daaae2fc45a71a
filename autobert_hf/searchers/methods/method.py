"""The interface of search methods, and what they share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.sentence_files import add_sentence_files
from autobert_hf.lab.distilling.teacher import Teacher
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
    One run of a published method with its `Settings`. Tools read the attributes; a tool refuses the run of a method
    that leaves an attribute empty which the tool needs.
    """

    Settings: ClassVar[type[SearchSettings]]
    longer_training: ClassVar[str] = "more steps"  # the option that trains what candidates are scored with for longer

    run: Run
    space: Space
    goals: Goals
    base: AutoBertConfig | None = None  # the configuration outside the searched part
    text: Text | None = None
    tokenizer: PreTrainedTokenizerBase | None = None  # of a method without text; else that of the text
    teacher: Teacher | None = None
    loss: Loss | None = None
    evaluator: Evaluator | None = None
    supernets: dict[str, Supernet] = {}

    @abstractmethod
    def __init__(self, run: Run, settings: Any) -> None: ...  # noqa: ANN401 (its own Settings)

    @abstractmethod
    def study(self) -> Study:
        """Searches to the end of the budget; a repeated call resumes where the search was stopped."""

    @abstractmethod
    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """
        A candidate as an ordinary model: after its final training (`train` is True), with the weights that it was
        scored with (False), or as the method's runs end (None).

        Raises:
            StudyError: if the weights that it was scored with were not kept.
        """

    def open_evaluator(self, folder: Path) -> Evaluator:
        """
        The evaluator with the run's latest shared weights, for tools that score further candidates. It writes to
        `folder` and leaves the run unchanged.

        Raises:
            RunError: if the method has no evaluator, or the run has no shared weights yet.
        """
        if self.evaluator is None:
            raise RunError(f"The method of {self.run.path} has no evaluator.")
        return self.evaluator

    def allowed(self, architecture: Architecture) -> bool:
        """Whether the scores that are known without training are within the limits."""
        known = self.evaluator.known(architecture) if self.evaluator else {}
        return self.goals.limits.broken_by(known) is None

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        """The trials that become models, by folder name: by default the best one within the further `limits`."""
        return {"model": study.goals.best(within(study, limits or Limits()))[0]}

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """
        Saves weights, configuration, code and, if there is one, the tokenizer (main process only); where the teacher
        is a model of sentence-transformers, also what makes the folder one.
        """
        source = self.teacher.source if self.teacher else None
        if self.run.team.is_main:
            tokenizer = self.text.tokenizer if self.text else self.tokenizer
            save_model(model, tokenizer, folder, lambda place: source and add_sentence_files(source, place))


def picks_within(study: Study, limits: Mapping[str, Limits], number: int = 1) -> dict[str, Trial]:
    """By folder name, the best trial within the limits of that name, then the next ones up to `number`, by rank."""
    best = {name: study.goals.best(within(study, own))[:number] for name, own in limits.items()}
    ranked = [(name, rank, trial) for name, trials in best.items() for rank, trial in enumerate(trials, start=1)]
    return {name if rank == 1 else f"{name}-rank-{rank}": trial for name, rank, trial in ranked}


def within(study: Study, limits: Limits) -> list[Trial]:
    """
    The finalists within the limits or, if there are none, the finished trials within them.

    Raises:
        StudyError: if there are none; the message names the closest values.
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
    finalists = {trial.id for trial in study.finalists}
    return [trial for trial in kept if trial.id in finalists] or kept
