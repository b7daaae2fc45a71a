"""Stand-alone training: an architecture is trained from scratch, the reference for cheaper scores."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores


HALVINGS = 4  # the loss is also recorded after a half, a quarter, ... of the training
LOSS_AT = "loss at "


@dataclass
class StandAlone(Evaluator):
    """
    Trains a new network of each architecture, made by `fresh(architecture, seed)`. All that share a seed see the same
    batches in the same order; the held-out batches are the same for all seeds. The intermediate loss is reported after
    a sixteenth, an eighth, ... of the steps.
    """

    fresh: Callable[[Architecture, int], PreTrainedModel]
    loss_of: Callable[[PreTrainedModel], Loss]
    text: Text
    recipe: Recipe
    team: Team
    seed: int = 0
    on_step: Callable[[int, float], None] = lambda step, loss: None

    @property
    def tokens(self) -> int:
        return self.recipe.steps * self.text.train.tokens_per_batch

    @property
    def points(self) -> dict[int, int]:
        """Steps before the end after which the loss is recorded, with their number of tokens."""
        steps = {self.recipe.steps >> halving for halving in range(1, HALVINGS + 1)} - {0, self.recipe.steps}
        return {step: step * self.text.train.tokens_per_batch for step in sorted(steps)}

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """Held-out `loss`, and `loss at N` after the first N tokens."""
        started = time.monotonic()
        model = self.fresh(architecture, derive(self.seed, "initialise"))
        loss = self.loss_of(model)
        held_out = HeldOut(loss, self.text.held_out, self.team)
        trainer = Trainer(model, loss, lambda step, shard: [model], self.recipe, self.team.alone())
        stream = self.text.with_seed(derive(self.seed, "batches")).stream("stand-alone")
        scores: Scores = {}
        for step in [*self.points, self.recipe.steps]:
            trainer.run(stream, until=step, on_step=self.on_step)
            scores["loss"] = held_out(model.eval())
            if step != self.recipe.steps:
                scores[f"{LOSS_AT}{self.points[step]}"] = scores["loss"]
                if not report(step, {"loss": scores["loss"]}):
                    break
        tokens = trainer.step * stream.tokens_per_batch
        return scores, {"seconds": round(time.monotonic() - started, 3), "tokens": tokens}
