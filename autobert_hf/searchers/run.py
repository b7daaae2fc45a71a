"""What every method stands on: processes, text, batches, the search itself, and trainings that must not be lost."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf.lab.data.corpus import Corpus, Source, prepare
from autobert_hf.lab.tasks.proxy_task import Task, load_task
from autobert_hf.lab.training.final import Curve, train_and_record
from autobert_hf.lab.training.trainer import Batch, Recipe, TrainingError, fastest_attention
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM, AutoBertForPreTraining, AutoBertLanguageModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals, arithmetic_scores
from autobert_hf.records.journal import Journal
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.run_folder import RunFolder, write_json
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.loop import Evaluator, Searcher, search
from autobert_hf.searchers.progress import TrialBar
from autobert_hf.searchers.settings.search_settings import SearchSettings
from autobert_hf.searchers.space_summary import Profile, profile
from autobert_hf.searchers.spaces.space import Space
from autobert_hf.searchers.supernets.branched import Head


class Job:
    """One run of a method; every part of it goes on where it was stopped."""

    def __init__(self, settings: SearchSettings, folder: RunFolder, source: Source) -> None:
        self.settings = settings
        self.path = folder.path
        self.accelerator = Accelerator(mixed_precision=settings.mixed_precision, cpu=settings.cpu)
        self.is_main = self.accelerator.is_main_process
        with self.accelerator.main_process_first():
            self.corpus: Corpus = prepare(source, folder.path / "text")
        self.base = settings.base_config(len(self.corpus.tokenizer), self.corpus.tokenizer.pad_token_id)
        self.base._attn_implementation = fastest_attention(self.accelerator)
        self.head: Head = AutoBertForPreTraining if settings.objective == "mlm+nsp" else AutoBertForMaskedLM
        self.batches = self.corpus.batches("train", settings.batch_size, derive(settings.seed, "batches"))
        rows = min(settings.batch_size, len(self.corpus.held_out))
        held_out = self.corpus.batches("held_out", rows, derive(settings.seed, "held-out"))
        self.held_out: list[Batch] = held_out.held_out(settings.held_out_rows)
        self.tasks: list[Task] = []
        self.goals = Goals.of(asdict(settings))
        # What a method puts into a model's folder beside weights, configuration and tokenizer.
        self.add_files: Callable[[PreTrainedModel, Path], object] = lambda model, folder: None

    def load_tasks(self) -> None:
        """The proxy tasks; apart, since a finished run is opened again without them. Raises TaskError."""
        s = self.settings
        with self.accelerator.main_process_first():  # a data set of the Hub is fetched once
            self.tasks = [load_task(spec, self.corpus.tokenizer, s.length, s.proxy_rows) for spec in s.proxy_task]

    def allowed(self, architecture: Architecture) -> bool:
        return self.settings.limits.broken_by(arithmetic_scores(architecture.to_config(self.base))) is None

    def profile(self, space: Space) -> Profile | None:
        """
        What there is to choose from, counted and recorded before anything is trained; None where a run goes on.

        Raises:
            LimitError: if no network of the space keeps within the limits.
        """
        if (self.path / "report" / "space.json").exists():
            return None
        found = profile(space, self.base, self.settings.limits, self.settings.seed)
        self.accelerator.wait_for_everyone()
        self.record("space", found.to_dict())
        return found

    def search(self, searcher: Searcher, evaluator: Evaluator, number: int | None = None) -> list[Trial]:
        """
        All trials of the run, in order; `number` of them where that is not the settings' to say.

        Raises:
            TrainingError: if none of them succeeded.
        """
        number = self.settings.num_trials if number is None else number
        with self.accelerator.main_process_first():
            journal = Journal(self.path / "journal.jsonl", writer=self.is_main)
        with TrialBar(number, self.goals.main, len(journal.records), not self.is_main) as bar:
            trials = search(searcher, evaluator, journal, number, bar.show, self.accelerator)
        if not any(trial.ok for trial in trials):
            raise TrainingError(f"None of {len(trials)} candidates could be trained; the last: {trials[-1].reason}.")
        self.record("front", {"trials": [trial.id for trial in self.goals.front(trials)]})
        return trials

    def fresh(self, config: AutoBertConfig, name: str) -> AutoBertLanguageModel:
        """A network with new weights, the same for the same seed and name."""
        config._attn_implementation = self.base._attn_implementation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.settings.seed, "initialise", name))
            return self.head(config)

    def train(
        self, model: AutoBertLanguageModel, recipe: Recipe, name: str, winner: Trial, inherited: int = 0
    ) -> Curve:
        """Trains to the recipe's end; `name` and `winner` name the checkpoint."""
        # A larger budget may bring another winner, and with it a BERT of another size.
        checkpoint = self.path / "final" / f"{name}-{winner.id:06d}.safetensors"
        return train_and_record(
            model, recipe, self.batches, self.held_out, self.accelerator, checkpoint, f"training {name}", inherited
        )

    def recipe(self, tokens: int) -> Recipe:
        return Recipe(tokens // self.batches.tokens_per_batch, self.settings.learning_rate, decay=0.3)

    def record(self, name: str, data: Mapping[str, Any]) -> None:
        if self.is_main:
            write_json(self.path / "report" / f"{name}.json", dict(data))

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        if self.is_main:
            save_model(model, self.corpus.tokenizer, folder, lambda path: self.add_files(model, path))

    def end(self) -> None:
        # A process that ends while others still work is taken for one that failed.
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
