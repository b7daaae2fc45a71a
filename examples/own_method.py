"""
A method of your own: candidates of a small space learn from scratch for a moment, the best one for longer.

    python examples/own_method.py OUT [NAME=VALUE of a setting ...]
"""

import sys
from dataclasses import dataclass

import yaml
from transformers import AutoModelForMaskedLM, PreTrainedModel

from autobert_hf import GridSpace, search
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators import StandAlone
from autobert_hf.searchers.methods import Method
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import NetworkSettings, TextSettings, described
from autobert_hf.searchers.strategies import Evolution


@dataclass
class ToySettings(TextSettings, NetworkSettings):  # the groups of settings that it takes, and one of its own
    candidate_steps: int = described("Training steps of a candidate.", 20, least=1)


class Toy(Method):
    Settings = ToySettings

    def __init__(self, run: Run, settings: ToySettings) -> None:
        self.run, self.settings, self.text = run, settings, settings.open_text(run)
        self.base = settings.base(self.text.tokenizer, run.team)
        self.space = GridSpace(num_hidden_layers=[1, 2, 4], intermediate_size=[64, 128, 256], gated_ffn=[False, True])
        self.loss = LOSSES[settings.loss](self.base)
        self.goals = settings.goals(self.loss.unit, self.loss.floor(self.text))
        recipe = Recipe(settings.candidate_steps, settings.learning_rate)
        self.evaluator = StandAlone(self.new, lambda model: self.loss, self.text, recipe, run.team, settings.seed)

    def new(self, architecture: Architecture, seed: int = 0) -> PreTrainedModel:
        return self.run.fresh(lambda: self.loss.network(architecture.to_config(self.base)), f"network {seed}")

    def study(self) -> Study:
        strategy = Evolution(self.space, self.goals, self.settings.seed, population=4, parents=2, children=1)
        return self.run.study(strategy, self.evaluator, self.goals, self.settings.num_trials)

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        found, recipe = self.new(trial.architecture), self.settings.final_recipe(self.text)
        self.run.final(trial, {"found": found}, lambda model: self.loss, recipe, self.text)
        return found


if __name__ == "__main__":
    own = {name: yaml.safe_load(value) for name, value in (pair.split("=") for pair in sys.argv[2:])}
    study = search(Toy, **{"output_dir": sys.argv[1], "num_trials": 8, "length": 64, "final_tokens": 1e5} | own)
    print(study, AutoModelForMaskedLM.from_pretrained(study.path / "model").config, sep="\n")
