"""A run: a folder, a team of processes, a seed, and what it has trained and found, by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batches, Text
from autobert_hf.lab.losses.loss import Loss, TrainingError
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Clock, Trainer, load_tensors
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_record
from autobert_hf.records.run_folder import RunError, read_report
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import Study, finalists_file, journal_file
from autobert_hf.records.tensor_files import fitting, read_tensors, write_tensors
from autobert_hf.records.trainings import checkpoint_file, record_training, weights_file
from autobert_hf.records.trial import Trial, is_rescoring
from autobert_hf.searchers.curve import Curve, curve_points
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.progress import TrialBar
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy
from autobert_hf.searchers.tracking import Tracking


T = TypeVar("T")
CHECKPOINT_SECONDS = 30


@dataclass(frozen=True)
class Comparison:
    """What a final training has made: models by name, the found one first, and the curve of each."""

    trial: Trial
    models: Mapping[str, PreTrainedModel]
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class Run:
    """Every part goes on where it was stopped. It opens neither a text nor a model: a method does."""

    path: Path
    seed: int
    team: Team
    tracking: Tracking = field(default_factory=Tracking)

    def once(self, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 (JSON)
        """What `make` gives, as JSON in `report/NAME.json`: the first process makes it, all processes read it."""
        path = self.path / "report" / f"{name}.json"
        if self.team.is_main and not path.exists():
            self.record(name, make())
        self.team.wait()
        return read_report(path)

    def record(self, name: str, data: Mapping[str, Any]) -> None:
        if self.team.is_main:
            write_record(self.path / "report" / f"{name}.json", dict(data))

    def fresh(self, make: Callable[[], T], name: str) -> T:
        """What `make` draws at random, such as a network's weights: the same for the same seed and name."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "initialise", name))
            return make()

    def train(
        self,
        name: str,
        trainer: Trainer,
        batches: Batches,
        until: int | None = None,
        score: Callable[[], float] | None = None,
        inherited: int = 0,
    ) -> Curve:
        """
        Trains to step `until`, or to the recipe's end; then the weights lie in `NAME.safetensors` of the run, and
        another call takes them from there. On the way everything is kept in a file beside it. With a `score` the curve
        [(tokens, score), ...] is returned, where tokens count the `inherited` ones too.

        Raises:
            TrainingError: if the loss is no number.
        """
        path, checkpoint = weights_file(self.path, name), checkpoint_file(self.path, name)
        is_done, tokens = path.exists(), inherited + trainer.recipe.steps * batches.tokens_per_batch
        self.team.wait()
        if self.team.is_main:
            record_training(self.path, name, trainer.recipe.steps, tokens, is_done)
        if is_done:
            tensors, metadata = read_tensors(path)
            with fitting(path):
                load_tensors(tensors, trainer.trained, trainer.loss)
            if self.team.is_main:
                checkpoint.unlink(missing_ok=True)
            return [(tokens, value) for tokens, value in json.loads(metadata["curve"])]
        curve = self._curve(trainer, checkpoint)
        end = trainer.recipe.steps if until is None else until
        self._train(name, trainer, batches, end, score, inherited, curve, checkpoint)
        if self.team.is_main and end == trainer.recipe.steps:
            write_tensors(path, trainer.tensors(), steps=end, tokens=tokens, curve=json.dumps(curve))
            record_training(self.path, name, end, tokens, is_done=True)
            checkpoint.unlink(missing_ok=True)
        elif self.team.is_main:
            trainer.save(checkpoint, curve=json.dumps(curve))
        self.team.wait()
        return curve

    def _curve(self, trainer: Trainer, checkpoint: Path) -> Curve:
        """Takes up what an earlier process has left."""
        if not checkpoint.exists():
            return []
        return [(tokens, value) for tokens, value in json.loads(trainer.load(checkpoint)["curve"])]

    def _train(
        self,
        name: str,
        trainer: Trainer,
        batches: Batches,
        end: int,
        score: Callable[[], float] | None,
        inherited: int,
        curve: Curve,
        checkpoint: Path,
    ) -> None:
        per_step, is_main, clock = batches.tokens_per_batch, self.team.is_main, Clock(CHECKPOINT_SECONDS)
        points = curve_points(trainer.recipe.steps, per_step, inherited) if score is not None else set()
        bar = tqdm(
            desc=Path(name).name, total=end, initial=trainer.step, unit="step", smoothing=0.05, disable=not is_main
        )

        def after(step: int, value: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{value:.3f}")
            values = {"loss": value}
            if step in points and score is not None:
                values["held_out"] = score()
                curve.append((inherited + step * per_step, values["held_out"]))
                trainer.trained.train()
            self.tracking.log(name, values, step)
            if is_main and (step in points or clock.rings()):
                trainer.save(checkpoint, curve=json.dumps(curve))

        with bar:
            trainer.run(batches, until=end, on_step=after)

    def has_trained(self, name: str) -> bool:
        return weights_file(self.path, name).exists()

    def load(self, name: str, trained: nn.Module, loss: Loss) -> None:
        """
        What `train` has left.

        Raises:
            RunError: if that training has not ended.
        """
        if not self.has_trained(name):
            raise RunError(
                f"{self.path} holds no finished {name}: let the search go on (`autobert status {self.path}`)."
            )
        tensors, _ = read_tensors(weights_file(self.path, name))
        with fitting(weights_file(self.path, name)):
            load_tensors(tensors, trained, loss)

    def study(
        self,
        strategy: Strategy,
        evaluator: Evaluator,
        goals: Goals,
        trials: int,
        pruner: Pruner | None = None,
        name: str = "",
    ) -> Study:
        """
        Searches until the journal of the study `name` holds so many trials.

        Raises:
            TrainingError: if none of them succeeded.
        """
        suffix = f"-{name}" if name else ""
        self.record(f"goals{suffix}", goals.to_json())
        self.record_budget(trials, name)
        with self.team.main_first():
            journal, finalists = (
                Journal(file(self.path, name), writer=self.team.is_main) for file in (journal_file, finalists_file)
            )
        replayed = sum(not is_rescoring(record) for record in journal.records)
        with TrialBar(trials, goals.main, replayed, not self.team.is_main) as bar:

            def show(trial: Trial) -> None:
                bar.show(trial)
                self.tracking.log(name or "search", {**trial.scores, **bar.best_score()}, trial.id)

            journals = (journal, finalists)
            loop = Loop(strategy, evaluator, goals, *journals, self.team, self.seed, pruner, show, bar.rescale)
            study = replace(loop.run(trials), name=name)
        if not any(trial.ok for trial in study.trials):
            reason = study.trials[-1].reason if study.trials else "none was asked for"
            raise TrainingError(f"None of {len(study.trials)} candidates could be trained; the last: {reason}.")
        self.record(f"front{suffix}", {"trials": [trial.id for trial in study.front()]})
        return study

    def record_budget(self, trials: int, name: str = "") -> None:
        """For whoever reads the run while it goes on: a method may ask for fewer trials than the settings do."""
        asked = read_report(self.path / "local.json").get("num_trials", trials)
        self.record(f"budget-{name}" if name else "budget", {"num_trials": asked, "trials": trials})

    def final(
        self,
        trial: Trial,
        models: Mapping[str, PreTrainedModel],
        loss_of: Callable[[PreTrainedModel], Loss],
        recipe: Recipe,
        text: Text,
        inherited: int = 0,
    ) -> Comparison:
        """
        Trains what was found (the first of `models`) and its baselines alike, from the weights that they have, and
        records curves, sizes and floors in `report/training-NUMBER.json`. Where the found network was trained on
        `inherited` tokens before, the others get as many more.
        """
        for model in models.values():
            model.to(self.team.device)  # type: ignore[arg-type]  # a decorator of transformers hides the method
        curves, losses = {}, {}
        more = inherited // text.train.tokens_per_batch
        for number, (name, model) in enumerate(models.items()):
            losses[name] = loss_of(model)
            before, own = (inherited, recipe) if number == 0 else (0, replace(recipe, steps=recipe.steps + more))
            curves[name] = self._finish(f"final/{name}-{trial.id:06d}", model, losses[name], own, text, before)
        errors = {name: losses[name].error(model, text) for name, model in models.items()}
        loss = next(iter(losses.values()))
        self.record(
            f"training-{trial.id:06d}",
            {
                "curves": curves,
                "unit": loss.unit,
                "parameters": {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()},
                "inherited_tokens": inherited,
                "errors": {name: error for name, error in errors.items() if error is not None},
            }
            | loss.floors(text),
        )
        return Comparison(trial, models, curves)

    def _finish(
        self, name: str, model: PreTrainedModel, loss: Loss, recipe: Recipe, text: Text, inherited: int
    ) -> Curve:
        held_out = HeldOut(loss, text.held_out, self.team)
        trainer = Trainer(model, loss, lambda step, shard: [model], recipe, self.team, seed=self.seed)

        def score() -> float:
            return held_out(model.eval())

        curve = self.train(name, trainer, text.stream("final"), score=score, inherited=inherited)
        model.eval()
        if isinstance(model.config, AutoBertConfig):
            model.config.untrained = False
        return curve
