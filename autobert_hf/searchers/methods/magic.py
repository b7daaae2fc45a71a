"""
MAGIC (Xu et al., ICML 2022): a supernet of chains whose paths change little from step to step and are aligned with the
best one, so that they quarrel less about the shared weights. docs/methods.md maps the paper to the code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.aligned_paths import AlignedPaths
from autobert_hf.searchers.baselines.equal_bert import equal_bert
from autobert_hf.searchers.evaluators import SupernetLoss
from autobert_hf.searchers.methods import presets
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.policies import Survivors
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import MagicSettings, SearchSettings
from autobert_hf.searchers.shrinking import Shrinking
from autobert_hf.searchers.spaces.chain import ChainSpace, analysis_operations, main_operations
from autobert_hf.searchers.strategies import STRATEGIES, FixedList
from autobert_hf.searchers.strategies.exhaustive import drawn, refuse_unlisted
from autobert_hf.searchers.supernets import ChoiceSupernet, sampled


WEIGHTS = "supernet/weights"
JUDGED = 4  # held-out batches on which anchors are compared


@dataclass
class ChainSettings(MagicSettings):
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": presets.MAGIC, "4x4": presets.MAGIC_4X4}


class Magic(Method):
    Settings: ClassVar[type[SearchSettings]] = ChainSettings
    longer_training = "--supernet-steps"
    text: Text
    base: AutoBertConfig
    loss: Loss
    space: ChainSpace
    evaluator: SupernetLoss

    def __init__(self, run: Run, settings: ChainSettings) -> None:
        s = self.settings = settings
        self.run = run
        self.text = s.open_text(run)
        self.base = s.base(self.text.tokenizer, run.team)
        self.teacher = s.open_teacher(self.text, run)
        self.loss = LOSSES[s.loss](self.base, self.teacher)
        self.goals = s.goals(self.loss.unit, self.loss.floor(self.text))
        operations = analysis_operations if s.operations == "analysis" else main_operations
        heads = () if s.operations == "analysis" else (s.num_attention_heads,)
        self.space = ChainSpace(operations(s.hidden_size, *heads), s.num_hidden_layers, s.hidden_size)
        self.supernet = ChoiceSupernet(self.space, self.base, s.seed, self.loss.network)
        self.supernets = {"supernet": self.supernet}
        self.tasks = s.tasks(self.text, run.team)
        sizes = self.space.length, len(self.space.operations)
        self.aligned = AlignedPaths(s, self.supernet, self.loss, *sizes, self.text.held_out[:JUDGED], run.team)
        held_out = HeldOut(self.loss, self.text.held_out, run.team)
        self.evaluator = SupernetLoss(self.supernet, held_out, self.base, tasks=self.tasks)

    def study(self) -> Study:
        s = self.settings
        self.tasks.load()
        if candidates := self.candidates():
            left = min(s.remaining, len(candidates)) if s.strategy == "shrinking" else len(candidates)
            number = min(s.num_trials, left)
            self.run.record_budget(number)
            return self.run.study(FixedList(self.train_supernet(candidates)), self.evaluator, self.goals, number)
        self.train_supernet([])
        rounds = (s.seed, s.population, s.parents, s.children)
        strategy = STRATEGIES[s.strategy](self.space, self.goals, *rounds, self.allowed)
        return self.run.study(strategy, self.evaluator, self.goals, s.num_trials)

    def candidates(self) -> list[Architecture]:
        """The networks that are chosen before the supernet is trained, if the strategy does so."""
        s = self.settings
        if s.strategy == "exhaustive":
            refuse_unlisted(self.space, "give --strategy evolution, or fewer --num-hidden-layers")
            return drawn(self.space, self.space.size, s.seed, self.allowed)
        return drawn(self.space, s.candidates, s.seed, self.allowed) if s.strategy == "shrinking" else []

    def train_supernet(self, candidates: list[Architecture]) -> list[Architecture]:
        """Returns the candidates; with --strategy shrinking those that remain."""
        s, run, batches = self.settings, self.run, self.text.stream("supernet")
        paths = Survivors(self.aligned.paths(), s.seed)
        policy, loss = self.aligned.aligned(paths)
        recipe = Recipe(s.supernet_steps, s.learning_rate, warmup=0.1, shards=s.shards)
        networks = sampled(self.supernet, policy)
        self.loss.fit([], self.text.fitting_batches("ridge"))
        trainer = Trainer(self.supernet.module, loss, networks, recipe, run.team, [policy], s.seed)
        if s.strategy == "shrinking":
            held_out = HeldOut(self.loss, self.text.held_out[: s.shrink_batches], run.team)
            judge, goals = SupernetLoss(self.supernet, held_out, self.base), Goals.named("loss", unit=self.loss.unit)
            shrinking = Shrinking(run, judge, goals, s.remaining, s.shrink_warmup)
            return shrinking(WEIGHTS, trainer, batches, paths, candidates)
        run.train(WEIGHTS, trainer, batches)
        return candidates

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """Trains the winner from scratch, and a BERT of equal size on as many tokens."""
        s, run = self.settings, self.run
        if train is False:
            self.load_weights()
            return self.supernet.extract(trial.architecture)
        found = run.fresh(lambda: self.network(trial.architecture.to_config(self.base)), "found")
        bert = run.fresh(lambda: self.network(equal_bert(self.whole_layers(), found.config)), "rival")
        run.final(trial, {"found": found, "bert": bert}, self.final_loss, s.final_recipe(self.text), self.text)
        return found

    def whole_layers(self) -> AutoBertConfig:
        """Two sub-layers are a layer of BERT."""
        return Architecture.of([], num_hidden_layers=max(self.space.length // 2, 1)).to_config(self.base)

    def load_weights(self) -> None:
        """Of the supernet, and of the loss that it was trained with, under their names there."""
        _, loss = self.aligned.aligned(self.aligned.paths())
        self.run.load(WEIGHTS, self.supernet.module, loss)

    def open_evaluator(self, folder: Path) -> SupernetLoss:
        self.load_weights()
        return self.evaluator

    def final_loss(self, model: PreTrainedModel) -> Loss:
        return LOSSES[self.settings.final_loss](model.config)

    def network(self, config: AutoBertConfig) -> AutoBertPreTrainedModel:
        config._attn_implementation = self.base._attn_implementation
        return self.loss.network(config)
