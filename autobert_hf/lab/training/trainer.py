"""The trainer of networks, supernets and blocks, with exact resume from one file."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor, nn

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Loss, Network, Step, TrainingError
from autobert_hf.lab.training.interrupt import stop_after_step
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.records.tensor_files import fitting, read_tensors, write_tensors


class State(Protocol):
    """State that changes during the training and is saved in its checkpoint, e.g. a policy's."""

    def after_step(self, step: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises MemoryError for the different RuntimeErrors of CPU, CUDA and cuDNN when memory is exhausted."""
    try:
        yield
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        raise MemoryError from error


class Trainer:
    """
    Trains the weights of `trained` and the loss's own parameters. In each step, `networks(step, shard)`, which compute
    with the trained weights, are trained on that shard of the batch. `run` continues from the current step to the
    recipe's last one. A training resumed with `save` and `load` is exact, since batches, networks and random draws
    depend only on the step.

    Raises:
        ValueError: if there are more processes than shards.
    """

    def __init__(
        self,
        trained: nn.Module,
        loss: Loss,
        networks: Callable[[int, int], Sequence[Network]],
        recipe: Recipe,
        team: Team,
        states: Sequence[State] = (),
        seed: int = 0,
    ) -> None:
        if team.size > recipe.shards:
            raise ValueError(
                f"A batch is cut into {recipe.shards} shards, but there are {team.size} processes: give --shards "
                f"{team.size}, and the same number whenever the run is resumed."
            )
        self.trained = trained.to(team.device)
        self.loss = loss.to(team.device)
        self.networks = networks
        self.recipe = recipe
        self.team = team
        self.states = states
        self.seed = seed
        self.step = 0
        for module in (trained, loss):
            module.zero_grad()  # a failed training may have left gradients
        self.parameters = [p for module in (trained, loss) for p in module.parameters() if p.requires_grad]
        decayed = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
        )

    def run(
        self,
        batches: Callable[[int], Batch],
        until: int | None = None,
        on_step: Callable[[int, float], None] | None = None,
    ) -> None:
        """
        Trains on `batches(step)` up to step `until`; `on_step` gets the number of steps done and the loss.

        Raises:
            TrainingError: if the loss is not finite.
        """
        self.trained.train()
        with stop_after_step() as check:
            while self.step < (self.recipe.steps if until is None else until):
                loss = self.update(batches(self.step))
                self.step += 1
                for state in self.states:
                    state.after_step(self.step)
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
        """Computes the gradients, summed over shards and processes; returns the loss."""
        shards = split(batch, self.recipe.shards)
        items: dict[str, int] = {}
        for shard in shards:
            for name, count in self.loss.items(shard).items():
                items[name] = items.get(name, 0) + count
        total = torch.zeros((), device=self.team.device)
        for index in range(self.team.rank, len(shards), self.team.size):
            total += self._shard(index, shards[index], items)
        self.team.sum_gradients(self.parameters)
        return self.team.sum(total).item()

    def _shard(self, index: int, shard: Batch, items: dict[str, int]) -> Tensor:
        networks = self.networks(self.step, index)
        weight = 1 / len(networks) if self.recipe.over_networks == "mean" else 1.0
        total = torch.zeros((), device=self.team.device)
        with self.team.autocast():
            losses_of = self.loss(self.team.to_device(shard), items, Step(self.step, index, self.seed))
        for network in networks:
            with self.team.autocast():
                loss = torch.stack([*losses_of(network).values()]).sum() * weight
            self.team.backward(loss)
            total += loss.detach()
        return total

    def tensors(self) -> dict[str, Tensor]:
        """Trained parameters and buffers by name, with the prefix `model.` or `loss.`."""
        return {
            f"{kind}.{name}": tensor
            for kind, module in (("model", self.trained), ("loss", self.loss))
            for name, tensor in named_tensors(module).items()
        }

    def save(self, path: Path, **metadata: object) -> None:
        """Saves weights, both moments, states, the step and the number of steps in one safetensors file."""
        tensors = self.tensors()
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        states = json.dumps([state.state() for state in self.states])
        write_tensors(path, tensors, step=self.step, steps=self.recipe.steps, states=states, **metadata)

    def load(self, path: Path) -> dict[str, str]:
        """Restores what `save` wrote; returns the metadata."""
        tensors, metadata = read_tensors(path)
        with fitting(path):
            self._restore(tensors, metadata)
        return metadata

    def _restore(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        load_tensors(tensors, self.trained, self.loss)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                moments.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        for state, restored in zip(self.states, json.loads(metadata["states"]), strict=True):
            state.restore(restored)
        self.step = int(metadata["step"])


def split(batch: Batch, shards: int) -> list[Batch]:
    """Cuts a batch into shards, at most one per row, since networks do not accept empty batches."""
    shards = min(shards, *map(len, batch.values()))
    rows = {name: tensor.tensor_split(shards) for name, tensor in batch.items()}
    return [{name: rows[name][index] for name in rows} for index in range(shards)]


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters by name, tied ones once, and the persistent buffers."""
    tensors: dict[str, Tensor] = dict(module.named_parameters())
    saved = module.state_dict(keep_vars=True)
    return tensors | {name: buffer for name, buffer in module.named_buffers() if name in saved}


def load_tensors(tensors: dict[str, Tensor], trained: nn.Module, loss: Loss | None = None) -> None:
    """Loads the tensors of a training (`Trainer.tensors`) into a network and its loss; others are ignored."""
    for kind, module in (("model", trained), ("loss", loss)):
        if module is not None:
            own = {name: tensors[f"{kind}.{name}"] for name in named_tensors(module)}
            module.load_state_dict(own, strict=False)


class Clock:
    """A timer: `rings` returns True at most once every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def rings(self) -> bool:
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True
