"""The training loop of searches and of final training: masked-only logits, AdamW, exact resume from one file."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn
from transformers import PreTrainedModel

from autobert_hf.lab.training.interrupt import stop_after_step
from autobert_hf.lab.training.team import sum_gradients
from autobert_hf.records.files import read_tensors, write_tensors


Batch = dict[str, torch.Tensor]
PARTS = 2


class TrainingError(RuntimeError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Recipe:
    """
    AdamW with linear warm-up, then constant; over the last `decay` share of the steps the rate falls linearly to 0.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup: float = 0.05
    decay: float = 0.0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0

    def rate(self, step: int) -> float:
        warm = (step + 1) / max(self.warmup * self.steps, 1)
        left = (self.steps - step) / max(self.decay * self.steps, 1)
        return self.learning_rate * min(warm, left, 1.0)


def default_precision(use_cpu: bool) -> Literal["no", "bf16"]:
    """bf16 where the processor multiplies in it, else fp32 (`no`, as Accelerate says)."""
    if not use_cpu and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    capable = torch.cpu.get_capabilities()
    return "bf16" if capable.get("avx512_bf16") or capable.get("amx_bf16") else "no"


def fastest_attention(accelerator: Accelerator) -> str:
    """On CPU in bf16 the plain product beats the fused kernel, which works in many small products."""
    plain = accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"
    return "eager" if plain else "sdpa"


@contextmanager
def sparse_prediction(model: PreTrainedModel) -> Iterator[None]:
    """Vocabulary logits at labelled positions only: the largest tensor of the step shrinks to 15 %."""
    before, model.config.sparse_prediction = model.config.sparse_prediction, True
    try:
        yield
    finally:
        model.config.sparse_prediction = before


@contextmanager
def memory_errors() -> Iterator[None]:
    """One exception for memory that is used up: CPU, CUDA and cuDNN each have their own RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        raise MemoryError from error


class Trainer:
    """
    One model with its optimizer. `run` takes it from its current step to the recipe's last one; `save` and `load`
    make that exact across processes, since batches depend on nothing but the step. If `shared`, all processes train
    the same model, each on its part of every batch; else each process is on its own.
    """

    def __init__(self, model: PreTrainedModel, recipe: Recipe, accelerator: Accelerator, shared: bool = False) -> None:
        self.model = model.to(accelerator.device)
        self.recipe = recipe
        self.accelerator = accelerator
        self.shared = shared
        self.step = 0
        model.zero_grad()  # a training that failed half-way leaves gradients behind
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        decayed = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
        )

    def run(
        self,
        batch: Callable[[int], Batch],
        until: int | None = None,
        on_step: Callable[[int, float], None] | None = None,
    ) -> None:
        """Trains on `batch(step)` up to step `until`; `on_step` gets the number of steps done and the loss."""
        self.model.train()
        with sparse_prediction(self.model), stop_after_step() as check:
            while self.step < (self.recipe.steps if until is None else until):
                loss = self.update(batch(self.step))
                self.step += 1
                if on_step is not None:
                    on_step(self.step, loss)
                check()

    def update(self, batch: Batch) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        value = self.differentiate(batch)
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {self.step}: lower the learning rate")
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def differentiate(self, batch: Batch) -> float:
        """
        Gradients of the mean over all labelled tokens, and its value. A shared batch is cut in the same parts on any
        number of processes, so that one process and two add the same numbers.
        """
        parts = [batch]
        if self.shared:
            number = max(PARTS, self.accelerator.num_processes)
            rows = {name: tensor.tensor_split(number) for name, tensor in batch.items()}
            parts = [{name: rows[name][i] for name in rows} for i in range(number)]
        counts = {name: count.to(self.accelerator.device) for name, count in count_items(batch).items()}
        total = torch.zeros((), device=self.accelerator.device)
        for part in parts[self.accelerator.process_index :: self.accelerator.num_processes] if self.shared else parts:
            with self.accelerator.autocast():
                loss = self.model(**to_device(part, self.accelerator), **counts).loss
            self.accelerator.backward(loss)
            total += loss.detach()
        if self.shared:
            sum_gradients(self.parameters, self.accelerator)
            total = self.accelerator.reduce(total, "sum")
        return total.item()

    def save(self, path: Path, **metadata: object) -> None:
        """Weights, both moments, the step and how many there will be, in one safetensors file."""
        tensors = {f"model.{name}": p for name, p in self.model.named_parameters()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        write_tensors(path, tensors, step=self.step, steps=self.recipe.steps, **metadata)

    def load(self, path: Path) -> dict[str, str]:
        """Takes up what `save` wrote, and returns the metadata."""
        tensors, metadata = read_tensors(path)
        own = {name: tensors[f"model.{name}"] for name, _ in self.model.named_parameters()}
        self.model.load_state_dict(own, strict=False)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        self.step = int(metadata["step"])
        return metadata


class Clock:
    """Is it time again? Once every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def rings(self) -> bool:
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True


def count_items(batch: Batch) -> Batch:
    """Of how many items the losses of a whole batch are the means; heads without `labels` take means themselves."""
    counts = {}
    if "labels" in batch:
        counts["num_items_in_batch"] = (batch["labels"] != -100).sum()
    if "next_sentence_label" in batch:
        counts["num_pairs_in_batch"] = torch.tensor(len(batch["next_sentence_label"]))
    return counts


def to_device(batch: Batch, accelerator: Accelerator) -> Batch:
    return {name: tensor.to(accelerator.device) for name, tensor in batch.items()}


@torch.no_grad()
def evaluate(model: PreTrainedModel, batches: list[Batch], accelerator: Accelerator) -> float:
    """
    Mean cross entropy over all labelled tokens, in nats; of sentence pairs plus the mean cross entropy over all pairs.
    Raises TrainingError if that is no number.
    """
    model.eval()
    total, count, pairs_total, pairs = 0.0, 0, 0.0, 0
    with sparse_prediction(model), accelerator.autocast():
        for batch in batches:
            labelled = int((batch["labels"] != -100).sum())
            inputs = to_device(batch, accelerator)
            follows = inputs.pop("next_sentence_label", None)
            out = model(**inputs)
            total += out.loss.item() * labelled
            count += labelled
            if follows is not None:
                logits = out.seq_relationship_logits.float()
                pairs_total += nn.functional.cross_entropy(logits, follows, reduction="sum").item()
                pairs += len(follows)
    loss = total / count + (pairs_total / pairs if pairs else 0.0)
    if not math.isfinite(loss):
        raise TrainingError(f"the held-out loss is {loss}: lower the learning rate")
    return loss
