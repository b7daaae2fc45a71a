"""
AutoTinyBERT (Yin et al., ACL 2021): a supernet is trained by slices, sub-networks are scored with its weights, and the
best within each latency limit is trained further. docs/methods.md maps the paper to the code, with every deviation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.convert import to_bert
from autobert_hf.modeling.supernet_space import SIZES
from autobert_hf.records.goals import Limits
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.at_latency import baselines_within
from autobert_hf.searchers.evaluators import SupernetLoss
from autobert_hf.searchers.methods import presets
from autobert_hf.searchers.methods.method import Method, picks_within
from autobert_hf.searchers.policies import BatchWise
from autobert_hf.searchers.predicted_latency import WindowedLatency
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import SearchSettings, SliceSettings, WindowSettings, described
from autobert_hf.searchers.settings.teacher_start import TeacherStartSettings
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace, is_stock
from autobert_hf.searchers.spaces.latency_windows import LatencyWindows
from autobert_hf.searchers.strategies.within_limits import within_limits
from autobert_hf.searchers.supernets import SlicedSupernet, sampled
from autobert_hf.searchers.supernets.elastic import FOLDER, save_elastic
from autobert_hf.searchers.supernets.teacher_start import TeacherStart
from autobert_hf.searchers.timed_comparison import TimedComparison


@dataclass
class AutoTinyBertSettings(WindowSettings, SliceSettings, TeacherStartSettings):
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": presets.AUTOTINYBERT}

    learning_rate: float = described("Peak learning rate of all trainings; 1e-3 is better from scratch.", 3e-4)
    strategy: Literal["evolution", "evolution-paper", "fast", "exhaustive", "random"] = described(
        "Choice of candidates; evolution is that of the released code, evolution-paper the paper's.", "evolution"
    )
    population: int = described("Candidates of a generation (S of the paper).", 25, least=1)
    finalists: int = described("Best candidates of each limit that are trained further.", 1, least=1)
    baselines: bool = described("Train and measure baselines of each found model.", True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.identical and (self.stock or self.strategy == "fast"):
            raise ValueError("--stock and --strategy fast need identical layers: leave --identical out.")
        if not self.max_latency:
            raise ValueError("max_latency is empty: write 0.5 or 0.5,0.33,0.25.")


class AutoTinyBert(Method):
    Settings: ClassVar[type[SearchSettings]] = AutoTinyBertSettings
    longer_training = "--supernet-steps"
    text: Text
    loss: Loss
    space: AutoTinyBertSpace
    evaluator: SupernetLoss

    def __init__(self, run: Run, settings: AutoTinyBertSettings) -> None:
        s = self.settings = settings
        self.run = run
        self.text = s.open_text(run)
        self.base = s.base(self.text.tokenizer, run.team)
        self.teacher = s.open_teacher(self.text, run)
        self.loss = LOSSES[s.loss](self.base, self.teacher)
        grids = (s.width_step, s.inner_step, s.identical, s.stock)
        self.space = AutoTinyBertSpace.within(self.base, bool(s.teacher), *grids)
        self.start = TeacherStart(run, self.text, self.loss, self.base, self.teacher if s.from_teacher else None)
        self.supernet = SlicedSupernet(self.space, self.start.model())
        self.supernets = {"supernet": self.supernet}
        self.latency = WindowedLatency(run, self.space, self.base, s.reference(self.teacher), s, s.latency_predictor)
        slowest = Limits({**s.limits.most, "latency": s.window_high * s.limits_of_latency[0]})
        self.goals = replace(s.goals(self.loss.unit, self.loss.floor(self.text)), limits=slowest)
        self.tasks = s.tasks(self.text, run.team)
        held_out, predicted = HeldOut(self.loss, self.text.held_out, run.team), {"latency": self.latency}
        self.evaluator = SupernetLoss(self.supernet, held_out, self.base, predicted, self.tasks)
        self.windows = LatencyWindows(self.space, lambda one: not s.stock or is_stock(one), self.latency, s.seed)

    def study(self) -> Study:
        self.tasks.load()
        self.latency.measure()
        s = self.settings
        budget = (s.seed, s.population, s.num_trials)
        strategy, trials = within_limits(s.strategy, self.windows, self.goals, *budget, self.allowed)
        self.train_supernet()
        study = self.run.study(strategy, self.evaluator, self.goals, trials)
        self.start.load(self.supernet)
        if self.run.team.is_main:
            grids = {name: self.space.grid(name) for name in SIZES}
            where, reference = self.run.path / FOLDER, self.latency.reference_name
            save_elastic(self.supernet, grids, study, where, self.text.tokenizer, reference)
        return study

    def train_supernet(self) -> None:
        """Trains the supernet (algorithm 1)."""
        s, run = self.settings, self.run
        self.start.prepare(self.supernet)
        policy, trained = BatchWise(self.windows.allowed_space, s.seed, s.subnetworks), self.supernet.module
        recipe = Recipe(s.supernet_steps, s.learning_rate, warmup=0.1, decay=0.3, shards=s.shards)
        networks = sampled(self.supernet, policy)
        trainer = Trainer(trained, self.loss, networks, recipe, run.team, [policy], s.seed)
        run.train("supernet/weights", trainer, self.text.stream("supernet"))

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        """The best trials within each limit; all folder names but the first contain the limit, or the trial's rank."""
        if limits is not None:
            return super().picks(study, limits)
        return picks_within(study, self.settings.limits_by_folder, self.settings.finalists)

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """Trains a candidate and its baselines further, and measures their latencies together."""
        s, latency = self.settings, self.latency
        self.start.load(self.supernet)
        found, limit = self.supernet.extract(trial.architecture), latency.limit_of(trial)
        if train is False:
            return self.plain(found)
        models, predicted = {"found": found}, {"found": trial.scores["latency"]}
        if s.baselines:
            others, times = baselines_within(limit, self.supernet, self.start, latency, self.evaluator)
            models, predicted = models | others, predicted | times
        self.run.final(trial, models, self.final_loss, s.final_recipe(self.text), self.text)
        for name in [*models][1:]:
            folder = f"{name.replace(' ', '-')}-{trial.id:06d}"
            self.save(self.plain(models[name]), self.run.path / "baselines" / folder)
        TimedComparison(self.run, trial, latency, self.text, self.teacher).record(models, predicted)
        return self.plain(found)

    def open_evaluator(self, folder: Path) -> SupernetLoss:
        self.start.load(self.supernet)
        return self.evaluator

    def final_loss(self, model: PreTrainedModel) -> Loss:
        return self.settings.new_final_loss(model, self.teacher, self.text)

    def plain(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model as a plain BERT of transformers if `stock` is set."""
        return to_bert(model) if self.settings.stock else model
