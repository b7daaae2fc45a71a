"""Stand-alone training: an architecture learns from scratch; the score that cheaper ones stand in for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator

from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.trainer import Batch, Recipe, Trainer, evaluate
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM, AutoBertLanguageModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.supernets.branched import Head


HALVINGS = 4  # the loss is also taken at a half, a quarter, ... of the training
LOSS_AT = "loss at "


@dataclass
class StandAlone:
    """
    Trains architectures on `base`. All that share a seed see the same batches in the same order; the held-out
    questions are the same for all seeds.
    """

    base: AutoBertConfig
    batches: MaskedBatches
    held_out: Sequence[Batch]
    recipe: Recipe
    accelerator: Accelerator
    head: Head = AutoBertForMaskedLM

    @property
    def tokens(self) -> int:
        return self.recipe.steps * self.batches.tokens_per_batch

    @property
    def points(self) -> dict[int, int]:
        """After which steps the loss is taken before the end, and how many tokens that is."""
        steps = {self.recipe.steps >> halving for halving in range(1, HALVINGS + 1)} - {0, self.recipe.steps}
        return {step: step * self.batches.tokens_per_batch for step in sorted(steps)}

    def evaluate(
        self, architecture: Architecture, seed: int, on_step: Callable[[], object] = lambda: None
    ) -> tuple[dict[str, float], dict[str, float]]:
        """
        Scores (held-out `loss` in nats a masked token, and `loss at N` after the first N tokens) and cost.

        Raises:
            TrainingError: if the loss is no number.
        """
        started = time.monotonic()
        batches = replace(self.batches, seed=derive(seed, "batches"))
        model = self.fresh(architecture, seed)
        trainer = Trainer(model, self.recipe, self.accelerator)
        scores: dict[str, float] = {}

        def after(step: int, loss: float) -> None:
            on_step()
            if step in self.points:
                scores[f"{LOSS_AT}{self.points[step]}"] = self.loss(model)
                model.train()

        trainer.run(lambda step: batches.batch("stand-alone", step=step), on_step=after)
        scores["loss"] = self.loss(model)
        return scores, {"seconds": round(time.monotonic() - started, 3), "tokens": self.tokens}

    def fresh(self, architecture: Architecture, seed: int) -> AutoBertLanguageModel:
        config = architecture.to_config(self.base)
        config._attn_implementation = self.base._attn_implementation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initialise"))
            return self.head(config)

    def loss(self, model: AutoBertLanguageModel) -> float:
        return evaluate(model, list(self.held_out), self.accelerator)
