"""Training that must not be lost: the winner of a search and the network it is compared with."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import Accelerator
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.trainer import Batch, Clock, Recipe, Trainer, evaluate


CHECKPOINT_SECONDS = 30
POINTS = 10
# Token counts at which the loss is always taken, so that curves of different runs can be laid beside each other.
MILESTONES = (300_000, 1_000_000, 3_000_000, 10_000_000)

Curve = list[tuple[int, float]]


def train_and_record(
    model: PreTrainedModel,
    recipe: Recipe,
    batches: MaskedBatches,
    held_out: Sequence[Batch],
    accelerator: Accelerator,
    checkpoint: Path,
    name: str,
    inherited: int = 0,
) -> Curve:
    """
    Trains to the end of the recipe and returns [(tokens, held-out loss), ...], where tokens count what the model was
    trained on before, `inherited`. Goes on from `checkpoint`, which is written every half minute and at every point
    of the curve.
    """
    trainer = Trainer(model, recipe, accelerator, shared=True)

    def loss() -> float:
        return evaluate(model, list(held_out), accelerator)

    return run_and_record(trainer, batches, loss, checkpoint, name, inherited)


def run_and_record(
    trainer: Trainer,
    batches: MaskedBatches,
    loss: Callable[[], float],
    checkpoint: Path,
    name: str,
    inherited: int = 0,
) -> Curve:
    """As `train_and_record`, with any trainer; `loss` takes a point of the curve."""
    curve: Curve = []
    if checkpoint.exists():
        curve = [(tokens, value) for tokens, value in json.loads(trainer.load(checkpoint)["curve"])]
    recipe, is_main = trainer.recipe, trainer.accelerator.is_main_process
    points = _points(recipe.steps, batches.tokens_per_batch, inherited)
    clock = Clock(CHECKPOINT_SECONDS)
    bar = tqdm(total=recipe.steps, initial=trainer.step, desc=name, unit="step", smoothing=0.05, disable=not is_main)

    def after(step: int, value: float) -> None:
        bar.update()
        bar.set_postfix(loss=f"{value:.3f}")
        if step in points:
            curve.append((inherited + step * batches.tokens_per_batch, loss()))
            trainer.model.train()
        if is_main and (step in points or clock.rings()):
            trainer.save(checkpoint, curve=json.dumps(curve))

    with bar:
        trainer.run(lambda step: batches.batch("final", step=step), on_step=after)
    return curve


def _points(steps: int, tokens_per_step: int, inherited: int) -> set[int]:
    even = {round(steps * (index + 1) / POINTS) for index in range(POINTS)}
    milestones = {round((tokens - inherited) / tokens_per_step) for tokens in MILESTONES}
    return {step for step in even | milestones if 0 < step <= steps} | {steps}
