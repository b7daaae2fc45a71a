"""
AutoDistil (Xu et al., NeurIPS 2022): K boxes of sizes, each with a supernet that is distilled from a teacher by
relations of its last layer; all students are scored with its weights, and the best one within the limits is taken out.
docs/methods.md maps the paper to the code, with every deviation.
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
from autobert_hf.records.goals import Limits
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators import SupernetLoss
from autobert_hf.searchers.methods import presets
from autobert_hf.searchers.methods.method import Method, picks_within
from autobert_hf.searchers.policies import POLICIES
from autobert_hf.searchers.predicted_latency import LimitedLatency
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import LatencySettings, SearchSettings, SupernetSettings, TeacherStartSettings
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.spaces.autodistil import MOST_BOXES, AutoDistilSpace
from autobert_hf.searchers.strategies.exhaustive import all_within
from autobert_hf.searchers.strategies.fixed_list import FixedList
from autobert_hf.searchers.supernets import sampled
from autobert_hf.searchers.supernets.boxes import JoinedSupernets, box_supernets
from autobert_hf.searchers.supernets.teacher_start import TeacherStart
from autobert_hf.searchers.timed_comparison import TimedComparison


@dataclass
class AutoDistilSettings(LatencySettings, SupernetSettings, TeacherStartSettings):
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": presets.AUTODISTIL}
    weights_alone: ClassVar[bool] = True

    loss: Literal["relations-kl", "relations-mse", "relations-raw", "mlm", "mlm+relations"] = described(
        "Training loss and score: relations by KL, by squared error of probabilities (the paper) or of scores (its "
        "code); masked words; or mlm and relations-mse.",
        "relations-kl",
    )
    learning_rate: float = described("Peak learning rate of all trainings.", 3e-4)
    max_latency: str = described("Maximum latency relative to the reference, e.g. 0.5. Default: no limit.", "")
    num_trials: int = described("Most students to score; default: all within the limits.", 20_000, least=1, local=True)
    subnetworks: int = described("Random sub-networks of each batch (M of the paper).", 2, least=1)
    boxes: int = described(f"Boxes of the space (K), 1 to {MOST_BOXES}; 3 as in the paper.", 3, least=1)
    policy: Literal["sandwich", "uniform"] = described("sandwich adds the smallest and the largest.", "sandwich")
    gradients: Literal["sum", "mean"] = described("Over the sub-networks of a batch; sum as in algorithm 1.", "sum")
    order_by_use: bool = described("Put the teacher's most used features first, as AutoTinyBERT does here.", False)
    final_training: Literal["none", "continue"] = described("What becomes of the best student.", "none")


class AutoDistil(Method):
    Settings: ClassVar[type[SearchSettings]] = AutoDistilSettings
    longer_training = "--supernet-steps"
    text: Text
    loss: Loss
    space: AutoDistilSpace
    evaluator: SupernetLoss

    def __init__(self, run: Run, settings: AutoDistilSettings) -> None:
        s = self.settings = settings
        self.run = run
        self.text = s.open_text(run)
        self.base = s.base(self.text.tokenizer, run.team)
        self.teacher = s.open_teacher(self.text, run)
        self.loss = LOSSES[s.loss](self.base, self.teacher)
        self.space = AutoDistilSpace.of(s.boxes, self.base)
        self.loss.check(self.space.smallest().to_config(self.base))
        self.start = TeacherStart(run, self.text, self.loss, self.base, self.teacher if s.from_teacher else None)
        self.joined = JoinedSupernets(self.space, box_supernets(self.space, self.start.model(s.order_by_use)))
        self.supernets = {**self.joined.supernets}
        self.latency = None
        if s.max_latency:
            reference = s.reference(self.teacher)
            self.latency = LimitedLatency(run, self.space, self.base, reference, s, s.latency_predictor)
        self.limits = [Limits({**s.limits.most, **own.most}) for own in s.limits_by_folder.values()]
        self.goals = replace(s.goals(self.loss.unit, self.loss.floor(self.text)), limits=self.limits[0])
        self.tasks = s.tasks(self.text, run.team)
        predicted = {"latency": self.latency} if self.latency else {}
        held_out = HeldOut(self.loss, self.text.held_out, run.team)
        self.evaluator = SupernetLoss(self.joined, held_out, self.base, predicted, self.tasks)

    def study(self) -> Study:
        s = self.settings
        self.tasks.load()
        if self.latency:
            self.latency.measure()
        students = all_within(self.space, self.evaluator.known, self.limits, s.seed)
        self.run.record_budget(number := min(s.num_trials, len(students)))
        used = self.joined.only({self.joined.name_of(student) for student in students})
        for name in used.supernets:
            self.train_supernet(name)
        self.supernets = {**used.supernets}  # what is trained, and may be published
        found = self.run.study(FixedList(students), self.evaluator, self.goals, number)
        used.save(self.run, found, self.text.tokenizer, self.latency.reference_name if self.latency else None)
        return found

    def train_supernet(self, name: str) -> None:
        """Algorithm 1, for one box."""
        s, supernet = self.settings, self.joined.supernets[name]
        policy = POLICIES[s.policy](supernet.space, s.seed, s.subnetworks)
        recipe = Recipe(s.supernet_steps, s.learning_rate, 0.1, 0.3, shards=s.shards, over_networks=s.gradients)
        networks = sampled(supernet, policy)
        trainer = Trainer(supernet.module, self.loss, networks, recipe, self.run.team, [policy], s.seed)
        self.run.train(f"supernet/{name}", trainer, self.text.stream("supernet"))

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        """The best trial within each latency limit; with proxy tasks the best of each box (task-proxy variant)."""
        if limits is not None:
            return super().picks(study, limits)
        if not self.settings.proxy_task:
            return picks_within(study, self.settings.limits_by_folder)
        best: dict[str, Trial] = {}
        for trial in study.goals.best(study.trials):
            best.setdefault(self.joined.name_of(trial.architecture), trial)
        return {f"model-{name}" if place else "model": best[name] for place, name in enumerate(best)}

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """The student as it was scored; trained further if that is asked for, and timed if latency was limited."""
        s, name = self.settings, self.joined.name_of(trial.architecture)
        self.run.load(f"supernet/{name}", self.joined.supernets[name].module, self.loss)
        found = self.joined.extract(trial.architecture)
        if train is False:
            return found
        if train or s.final_training == "continue":
            self.run.final(trial, {"found": found}, self.final_loss, s.final_recipe(self.text), self.text)
        if self.latency:
            timed = TimedComparison(self.run, trial, self.latency, self.text, self.teacher)
            timed.measure({"found": found}, {"found": trial.scores["latency"]})
        return found

    def open_evaluator(self, folder: Path) -> SupernetLoss:
        """Tools see the boxes that were trained."""
        names = [*self.joined.supernets]
        seen = self.joined.only([name for name in names if self.run.has_trained(f"supernet/{name}")] or names)
        for name, supernet in seen.supernets.items():
            self.run.load(f"supernet/{name}", supernet.module, self.loss)
        self.space, self.supernets = seen.space, {**seen.supernets}
        return self.evaluator

    def final_loss(self, model: PreTrainedModel) -> Loss:
        return self.settings.new_final_loss(model, self.teacher, self.text)
