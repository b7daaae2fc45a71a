"""
AutoBERT-Zero (Gao et al., AAAI 2022): a bi-branch supernet is warmed up, OP-NAS searches a formula or a convolution
for every layer, the winner is trained from scratch.

| paper | here | deviation |
| --- | --- | --- |
| 3.1 search space | spaces/autobert_zero.py, spaces/formulas.py | path limits are parameters, the paper gives none |
| 3.2 BIWS | supernet.py, evaluators/biws.py | short warm-up by single paths; the next parents are written back |
| 3.3 OP-NAS, Eq. 3 | strategies/op_nas.py | scores z-scored over the history; alpha, temperature are parameters |
| 4.1 fitness: GLUE score | evaluators/biws.py | held-out masked-word loss |
| 4.1 final training | this file | `--final-training inherit` as an alternative; a BERT of equal size beside it |
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm.auto import tqdm

from autobert_hf.lab.corpus import Corpus, Source, prepare
from autobert_hf.lab.files import read_tensors
from autobert_hf.lab.final import Curve, train_and_record
from autobert_hf.lab.journal import Journal
from autobert_hf.lab.mlm import MaskedBatches
from autobert_hf.lab.run_folder import RunFolder, write_json
from autobert_hf.lab.save import save_model
from autobert_hf.lab.seeds import derive
from autobert_hf.lab.train import (
    Batch,
    Clock,
    Recipe,
    Trainer,
    TrainingError,
    fastest_attention,
)
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.loop import search
from autobert_hf.searchers.objectives import OBJECTIVES
from autobert_hf.searchers.policies.single_path import single_path
from autobert_hf.searchers.progress import TrialBar
from autobert_hf.searchers.rivals import equal_bert
from autobert_hf.searchers.settings import SearchSettings
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.formulas import FormulaSampler
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.supernet import Supernet
from autobert_hf.searchers.trial import Trial


class AutoBertZero:
    """One run, phase by phase; every phase goes on where it was stopped."""

    def __init__(self, settings: SearchSettings, folder: RunFolder, source: Source) -> None:
        self.settings = settings
        self.path = folder.path
        self.accelerator = Accelerator(mixed_precision=settings.mixed_precision, cpu=settings.cpu)
        self.is_main = self.accelerator.is_main_process
        with self.accelerator.main_process_first():
            self.corpus: Corpus = prepare(source, folder.path / "text")
        self.base = settings.base_config(len(self.corpus.tokenizer), self.corpus.tokenizer.pad_token_id)
        self.base._attn_implementation = fastest_attention(self.accelerator)
        formulas = FormulaSampler(settings.min_path, settings.max_path)
        self.space = AutoBertZeroSpace(settings.num_hidden_layers, formulas=formulas)
        self.supernet = Supernet(self.space, self.base, settings.seed)
        self.batches = MaskedBatches(
            self.corpus.train, self.corpus.tokenizer, settings.batch_size, derive(settings.seed, "batches")
        )
        held_out = MaskedBatches(
            self.corpus.held_out,
            self.corpus.tokenizer,
            min(settings.batch_size, len(self.corpus.held_out)),
            derive(settings.seed, "held-out"),
        )
        self.held_out: list[Batch] = held_out.held_out(settings.held_out_rows)
        self.evaluator = Biws(
            self.supernet,
            self.batches,
            self.held_out,
            Recipe(settings.candidate_steps, settings.candidate_learning_rate, warmup=0.1),
            self.accelerator,
            folder.path / "supernet",
        )

    def warm_up(self) -> None:
        """Single-path training of the supernet; its end is the weights of round 0."""
        checkpoint, clock = self.evaluator.folder / "warm-up.safetensors", Clock(30)
        is_done = any(self.evaluator.folder.glob("round-*.safetensors"))
        self.accelerator.wait_for_everyone()
        if is_done:
            if self.is_main:
                checkpoint.unlink(missing_ok=True)
            return
        recipe = Recipe(self.settings.warmup_steps, self.settings.learning_rate)
        trainer = Trainer(self.supernet.model, recipe, self.accelerator, shared=True)
        if checkpoint.exists():
            trainer.load(checkpoint)
        bar = tqdm(
            total=recipe.steps, initial=trainer.step, desc="supernet warm-up", unit="step", disable=not self.is_main
        )

        def batch(step: int) -> Batch:
            self.supernet.activate(single_path(self.space, self.settings.seed, step))
            return self.batches.batch("warm-up", step=step)

        def after(step: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if self.is_main and clock.rings():
                trainer.save(checkpoint)

        with bar:
            trainer.run(batch, on_step=after)
        if self.is_main:
            self.evaluator.save_round(0, 0, recipe.steps * self.batches.tokens_per_batch)
            checkpoint.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()

    def search(self) -> list[Trial]:
        s = self.settings
        options = {"alpha": s.alpha, "temperature": s.temperature} if s.method == "op-nas" else {}
        searcher = STRATEGIES[s.method](
            self.space, OBJECTIVES["loss"], s.seed, s.population, s.parents, s.children, **options
        )
        with self.accelerator.main_process_first():
            journal = Journal(self.path / "journal.jsonl", writer=self.is_main)
        self.space.formulas.drawn.clear()  # the warm-up's draws, as far as this process made them
        with TrialBar(s.num_trials, OBJECTIVES["loss"], len(journal.records), not self.is_main) as bar:
            trials = search(searcher, self.evaluator, journal, s.num_trials, bar.show, self.accelerator)
        self.record("draws", self.space.formulas.drawn)
        return trials

    def train_winner(self, winner: Trial) -> AutoBertForMaskedLM:
        """The winner, and for the record a BERT of equal parameters trained on the same number of tokens."""
        s = self.settings
        inherited = 0
        if s.final_training == "inherit":
            inherited = int(winner.cost["inherited_tokens"] + winner.cost["tokens"])
        found = self.start_of(winner)
        rival_config = equal_bert(self.base, count_parameters(found.config, "masked_lm"))
        rival = self.fresh(rival_config, "rival")
        recipe = Recipe(s.final_tokens // self.batches.tokens_per_batch, s.learning_rate, decay=0.3)
        more = Recipe(recipe.steps + inherited // self.batches.tokens_per_batch, s.learning_rate, decay=0.3)
        curves = {
            "found": self.train(found, recipe, "found", winner, inherited),
            "bert": self.train(rival, more, "bert", winner),
        }
        self.record(
            "training",
            {
                "curves": curves,
                "floor": self.corpus.floor,
                "inherited_tokens": inherited,
                "parameters": {
                    "found": count_parameters(found.config, "masked_lm"),
                    "bert": count_parameters(rival_config, "masked_lm"),
                },
                "bert_intermediate_size": rival_config.intermediate_size,
            },
        )
        return found

    def train(self, model: AutoBertForMaskedLM, recipe: Recipe, name: str, winner: Trial, inherited: int = 0) -> Curve:
        # A larger budget may bring another winner, and with it a BERT of another size.
        checkpoint = self.path / "final" / f"{name}-{winner.id:06d}.safetensors"
        return train_and_record(
            model, recipe, self.batches, self.held_out, self.accelerator, checkpoint, f"training {name}", inherited
        )

    def record(self, name: str, data: Mapping[str, Any]) -> None:
        if self.is_main:
            write_json(self.path / "report" / f"{name}.json", dict(data))

    def start_of(self, winner: Trial) -> AutoBertForMaskedLM:
        if self.settings.final_training == "scratch":
            return self.fresh(winner.architecture.to_config(self.base), "found")
        state, _ = read_tensors(self.evaluator.child_file(winner.id))
        self.supernet.write(winner.architecture, state)
        return self.supernet.extract(winner.architecture)

    def fresh(self, config: AutoBertConfig, name: str) -> AutoBertForMaskedLM:
        config._attn_implementation = self.base._attn_implementation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.settings.seed, "initialise", name))
            return AutoBertForMaskedLM(config)


def run(settings: SearchSettings, folder: RunFolder, source: Source) -> tuple[Path, Trial]:
    """The whole method; returns the folder of the saved model and the winning trial."""
    job = AutoBertZero(settings, folder, source)
    job.warm_up()
    trials = job.search()
    ranked = OBJECTIVES["loss"].ranked(trials)
    if not ranked:
        raise TrainingError(f"None of {len(trials)} candidates could be trained; the last: {trials[-1].reason}.")
    model = job.train_winner(ranked[0])
    if job.is_main:
        save_model(model, job.corpus.tokenizer, folder.path / "model")
    # A process that ends while others still work is taken for one that failed.
    job.accelerator.wait_for_everyone()
    job.accelerator.end_training()
    return folder.path / "model", ranked[0]
