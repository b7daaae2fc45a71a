"""Networks of a front: some of them trained beside a baseline, the others with random weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import StudyError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.scaled_depth import nearest_in_size
from autobert_hf.searchers.near_baselines import to_train
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.front_training import FrontTrainingSettings


REPORT = "trained-front"


@dataclass(frozen=True)
class FrontTraining:
    """
    `report/trained-front.json`: the trials that are trained, `settings.train_front` of them. `scaled`: baselines, of
    which each point has the one nearest in size beside it. `text`: None for a run that trains nothing.
    """

    run: Run
    base: AutoBertConfig
    scaled: Sequence[Architecture]
    settings: FrontTrainingSettings
    text: Text | None

    def choose(self, front: Sequence[Trial], goals: Goals) -> None:
        """By the scores that were measured again, in `report/measured-front.json`."""
        if self.settings.train_front:
            measured = read_report(self._path("measured-front"))
            now = {int(number): point["scores"] for number, point in measured["points"].items()}
            again = [replace(trial, scores={**trial.scores, **now.get(trial.id, {})}) for trial in front]
            chosen = to_train(again, goals, measured["baselines"], self.settings.train_front)
            self.run.record(REPORT, {"trials": [trial.id for trial in chosen]})
            self.run.team.wait()

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """
        `train` None: trained if the trial was chosen to be; else a network with random weights, the same for the same
        seed.

        Raises:
            StudyError: if it is to be trained in a run without text.
        """
        loss = LOSSES[self.settings.loss]
        chosen = read_report(self._path(REPORT)).get("trials", [])
        if not (trial.id in chosen if train is None else train):
            config = trial.architecture.to_config(self.base)
            config.untrained = True
            return self.run.fresh(lambda: loss.network(config), "found").eval()
        if self.text is None:
            raise StudyError(
                f"{self.run.path} has no training: give --train-front, or train the saved network with transformers' "
                "own scripts (run_clm.py, run_mlm.py)."
            )
        nearest = nearest_in_size(self.scaled, self.base, trial.architecture.to_config(self.base))
        recipe = self.settings.final_recipe(self.text)
        return train_found(self.run, trial, self.base, {"scaled in depth": nearest}, loss, recipe, self.text)

    def _path(self, report: str) -> Path:
        return self.run.path / "report" / f"{report}.json"


def train_found(
    run: Run,
    trial: Trial,
    base: AutoBertConfig,
    baselines: Mapping[str, AutoBertConfig],
    loss: type[Loss],
    recipe: Recipe,
    text: Text,
) -> PreTrainedModel:
    """
    Trains the trial's architecture on `base`, and its baselines by name, from scratch on the same batches, and records
    them in `report/training-NUMBER.json`. A repeated call goes on, and reads what is finished.

    Raises:
        ValueError: if the loss does not train such networks (an encoder with next-words, a decoder with masked words).
    """
    configs = {"found": trial.architecture.to_config(base), **baselines}
    models = {name: run.fresh(lambda c=config: loss.network(c), name) for name, config in configs.items()}  # type: ignore[misc]
    return run.final(trial, models, lambda model: loss(model.config), recipe, text).models["found"]
