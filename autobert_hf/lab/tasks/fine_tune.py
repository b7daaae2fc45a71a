"""A short fine-tuning on a proxy task: an encoder in, the score of the trained network out."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.length_buckets import length_buckets
from autobert_hf.lab.data.masked_words import generator
from autobert_hf.lab.losses.head_loss import HeadLoss
from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.tasks.proxy_task import Task
from autobert_hf.lab.tasks.task_data import Row
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.seeds import derive


TARGETS = {"labels", "start_positions", "end_positions"}


@dataclass(frozen=True)
class FineTuning:
    """
    The short recipe: AdamW, 10 % warm-up, then linearly to 0. The rate suits networks of a few million
    parameters after little pre-training; for a pre-trained network of BERT's size, 5e-5 is usual.
    """

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 5e-4

    def schedule(self, rows: int) -> Recipe:
        steps = self.epochs * math.ceil(rows / self.batch_size)
        return Recipe(steps, self.learning_rate, warmup=0.1, decay=0.9)


def fine_tune(source: PreTrainedModel, task: Task, team: Team, seed: int, recipe: FineTuning | None = None) -> float:
    """
    Trains a copy of the encoder of `source`, any AutoBert model, with a new head for the task, and returns the metric
    on the validation rows: shares in [0, 1], correlations in [-1, 1]. The result depends only on the arguments;
    `source` is not changed. Every process works on its own.

    Raises:
        TrainingError: if the loss is not finite.
    """
    recipe = recipe or FineTuning()
    devices = [team.device] if team.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(seed, "fine-tuning", task.name))  # the head's weights and dropout
        model = new_head(source, task)
        batches = Buckets(task.train, recipe.batch_size, seed, model.config.pad_token_id or 0)
        schedule, loss = recipe.schedule(len(task.train)), HeadLoss(model.config)
        Trainer(model, loss, lambda step, shard: [model], schedule, team.alone()).run(batches.batch)
    return task.score(predict(model, task.validation, team, 4 * recipe.batch_size))


def new_head(source: PreTrainedModel, task: Task) -> PreTrainedModel:
    """The task's network with the encoder's weights; the head is new, as is the pooler if the source has none."""
    config = copy.deepcopy(source.config)
    assert isinstance(config, AutoBertConfig)
    for name, value in task.settings.items():
        setattr(config, name, value)
    model = task.head(config)
    model.config._attn_implementation = source.config._attn_implementation
    state = {name: value for name, value in source.base_model.state_dict().items() if "pooler." not in name}
    if model.base_model.pooler is not None and source.base_model.pooler is not None:
        state = source.base_model.state_dict()
    missing, unexpected = model.base_model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.startswith("pooler.") for name in missing), (missing, unexpected)
    return model


@dataclass
class Buckets:
    """Batches of rows of nearly equal length, in a new order each epoch; the same for the same seed."""

    rows: Sequence[Row]
    batch_size: int
    seed: int
    padding: int

    def batch(self, step: int) -> Batch:
        epoch, index = divmod(step, math.ceil(len(self.rows) / self.batch_size))
        return collate([self.rows[row] for row in self.order(epoch)[index]], self.padding)

    def order(self, epoch: int) -> list[list[int]]:
        lengths = [len(row["input_ids"]) for row in self.rows]
        return length_buckets(lengths, self.batch_size, generator(self.seed, "buckets", epoch))


def collate(rows: Sequence[Row], padding: int) -> Batch:
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    types = [torch.tensor(row["token_type_ids"]) for row in rows]
    batch = {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=padding),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        "token_type_ids": pad_sequence(types, batch_first=True),
    }
    return batch | {name: torch.tensor([row[name] for row in rows]) for name in TARGETS & rows[0].keys()}


@torch.no_grad()
def predict(model: PreTrainedModel, rows: Sequence[Row], team: Team, batch_size: int) -> list[torch.Tensor]:
    """
    The logits of each row in fp32 on the CPU: (num_labels,), or (tokens, 2) for question answering.

    Raises:
        TrainingError: if they are not finite.
    """
    model.eval()
    by_length = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(rows), batch_size):
        chosen = by_length[start : start + batch_size]
        batch = collate([rows[row] for row in chosen], model.config.pad_token_id or 0)
        inputs = {name: tensor for name, tensor in batch.items() if name not in TARGETS}
        with team.autocast():
            out = model(**team.to_device(inputs))
        logits = out.logits if "logits" in out else torch.stack([out.start_logits, out.end_logits], dim=-1)
        if not logits.isfinite().all():
            raise TrainingError("the fine-tuned network outputs values that are not finite: lower the learning rate")
        for row, logit in zip(chosen, logits.float().cpu(), strict=True):
            found[row] = logit[: len(rows[row]["input_ids"])] if logit.ndim == 2 else logit
    return [found[row] for row in range(len(rows))]
