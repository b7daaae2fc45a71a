"""
AutoBERT-Zero (Gao et al., AAAI 2022): a bi-branch supernet is warmed up, OP-NAS searches a formula or a convolution
for every layer, and the winner is trained from scratch. docs/methods.md maps the paper's sections to our files, with
every deviation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.records.study import Study, StudyError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.equal_bert import equal_bert
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.methods import presets
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.policies.single_path import SinglePath
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import NetworkSettings, OpNasSettings, SearchSettings, TextSettings, described
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.formulas import FormulaSampler
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.supernets.branched import BranchedSupernet
from autobert_hf.searchers.supernets.supernet import sampled


@dataclass
class AutoBertZeroSettings(TextSettings, NetworkSettings, OpNasSettings):
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": presets.AUTOBERT_ZERO}

    min_path: int = described("Fewest primitives of a formula.", 3, least=1)
    max_path: int = described("Most primitives of a formula.", 12, least=1)
    constraint: Literal["none", "att", "conv", "no-desc"] = described(
        "Three attentions or three convolutions in a row, or kernels that never fall.", "none"
    )

    warmup_steps: int = described("Single-path training steps of the supernet before the search.", 400, least=0)
    candidate_steps: int = described("Training steps of each candidate, from inherited weights.", 20, least=0)
    candidate_learning_rate: float = described("Learning rate of the candidates.", 5e-4)
    final_training: Literal["scratch", "inherit"] = described("What the winner starts from.", "scratch")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_path > self.max_path:
            raise ValueError(f"min_path is {self.min_path}, more than max_path, {self.max_path}: swap them.")


class AutoBertZero(Method):
    Settings: ClassVar[type[SearchSettings]] = AutoBertZeroSettings
    longer_training = "--warmup-steps"
    text: Text
    loss: Loss
    base: AutoBertConfig
    space: AutoBertZeroSpace
    evaluator: Biws

    def __init__(self, run: Run, settings: AutoBertZeroSettings) -> None:
        s = self.settings = settings
        self.run = run
        self.text = s.open_text(run)
        self.base = s.base(self.text.tokenizer, run.team)
        self.loss = LOSSES[s.loss](self.base)
        self.goals = s.goals(self.loss.unit, self.loss.floor(self.text))
        formulas = FormulaSampler(s.min_path, s.max_path, guided_only=s.path_mutations == "guided")
        self.space = AutoBertZeroSpace(s.num_hidden_layers, formulas=formulas, constraint=s.constraint)
        self.supernet = BranchedSupernet(self.space, self.base, s.seed, self.loss.network)
        self.supernets = {"supernet": self.supernet}
        candidates = Recipe(s.candidate_steps, s.candidate_learning_rate, warmup=0.1)
        self.tasks = s.tasks(self.text, run.team)
        folder = run.path / "supernet"
        self.evaluator = Biws(self.supernet, self.loss, self.text, candidates, run.team, folder, self.tasks)

    def study(self) -> Study:
        s, run = self.settings, self.run
        self.tasks.load()
        self.warm_up()
        rounds = (s.seed, s.population, s.parents, s.children)
        strategy = STRATEGIES[s.strategy](self.space, self.goals, *rounds, self.allowed, **s.strategy_options())
        self.space.formulas.drawn.clear()  # those of the summary and of the warm-up
        study = run.study(strategy, self.evaluator, self.goals, s.num_trials)
        run.record("draws", self.space.formulas.drawn)
        return study

    def warm_up(self) -> None:
        """Section 3.2: single-path training of the supernet; it ends with the weights of round 0."""
        s, run, name = self.settings, self.run, "supernet/round-0000"
        if self.evaluator.begun() and not run.has_trained(name):  # later rounds have taken its place
            return
        policy = SinglePath(self.space, s.seed)
        recipe = Recipe(s.warmup_steps, s.learning_rate, shards=s.shards)
        trainer = Trainer(
            self.supernet.module, self.loss, sampled(self.supernet, policy), recipe, run.team, [policy], s.seed
        )
        run.train(name, trainer, self.text.stream("warm-up"))

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """Section 4.1: trains the winner from scratch, and a BERT of equal size on as many tokens."""
        s, run = self.settings, self.run
        if train is False:
            return self.inherited(trial)
        found, tokens = self.untrained(trial), 0
        if s.final_training == "inherit":
            found, tokens = self.inherited(trial), int(trial.cost["inherited_tokens"] + trial.cost["tokens"])
        models = {
            "found": found,
            "bert": run.fresh(lambda: self.network(equal_bert(self.base, found.config)), "rival"),
        }
        run.final(trial, models, self.final_loss, s.final_recipe(self.text), self.text, tokens)
        return found

    def open_evaluator(self, folder: Path) -> Biws:
        self.evaluator.go_on_in(folder)
        return self.evaluator

    def final_loss(self, model: PreTrainedModel) -> Loss:
        return LOSSES[self.settings.final_loss](model.config)

    def untrained(self, trial: Trial) -> AutoBertPreTrainedModel:
        return self.run.fresh(lambda: self.network(trial.architecture.to_config(self.base)), "found")

    def network(self, config: AutoBertConfig) -> AutoBertPreTrainedModel:
        config._attn_implementation = self.base._attn_implementation
        return self.loss.network(config)

    def inherited(self, trial: Trial) -> AutoBertPreTrainedModel:
        """
        Raises:
            StudyError: if the trial's weights were not kept; only those of the winner and the Pareto front are.
        """
        try:
            self.evaluator.inherit(trial)
        except FileNotFoundError as error:
            raise StudyError(
                f"The weights of trial {trial.id} were not kept, only those of the winner and of the Pareto front "
                "(--trade-off). Give --train to train it from scratch."
            ) from error
        return self.supernet.extract(trial.architecture)
