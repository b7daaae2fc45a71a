"""The one trainer: a network, a supernet's samples or its blocks; exact resume from one file."""

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
from autobert_hf.records.files import read_tensors, write_tensors


class State(Protocol):
    """What changes with the training and goes into its checkpoint, e.g. a policy that remembers."""

    def after_step(self, step: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


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
    `trained` and the loss's own parameters, with their optimizer. In each step every shard of the batch is learned by
    `networks(step, shard)`, which compute on the trained weights. `run` takes the training from its present step to
    the recipe's last one; `save` and `load` make that exact across processes, since batches, networks and draws depend
    on nothing but the step.
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
                f"{team.size}, and the same number wherever the run goes on."
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
            module.zero_grad()  # a training that failed half-way leaves gradients behind
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
            TrainingError: if the loss is no number.
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
        """Gradients of the loss, summed over shards and processes, and its value."""
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
        """What is trained, with its buffers, by name: `model.` and `loss.` stand before the names."""
        return {
            f"{kind}.{name}": tensor
            for kind, module in (("model", self.trained), ("loss", self.loss))
            for name, tensor in named_tensors(module).items()
        }

    def save(self, path: Path, **metadata: object) -> None:
        """Weights, both moments, states, the step and how many there will be, in one safetensors file."""
        tensors = self.tensors()
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        states = json.dumps([state.state() for state in self.states])
        write_tensors(path, tensors, step=self.step, steps=self.recipe.steps, states=states, **metadata)

    def load(self, path: Path) -> dict[str, str]:
        """Takes up what `save` wrote, and returns the metadata."""
        tensors, metadata = read_tensors(path)
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
        return metadata


def split(batch: Batch, shards: int) -> list[Batch]:
    """Fewer shards where there are fewer rows: no network takes a batch of none."""
    shards = min(shards, *map(len, batch.values()))
    rows = {name: tensor.tensor_split(shards) for name, tensor in batch.items()}
    return [{name: rows[name][index] for name in rows} for index in range(shards)]


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, tied ones once, and the buffers that are saved."""
    tensors: dict[str, Tensor] = dict(module.named_parameters())
    saved = module.state_dict(keep_vars=True)
    return tensors | {name: buffer for name, buffer in module.named_buffers() if name in saved}


def load_tensors(tensors: dict[str, Tensor], trained: nn.Module, loss: Loss | None = None) -> None:
    """Puts what a training has left (`Trainer.tensors`) into a network and its loss; other tensors are ignored."""
    for kind, module in (("model", trained), ("loss", loss)):
        if module is not None:
            own = {name: tensors[f"{kind}.{name}"] for name in named_tensors(module)}
            module.load_state_dict(own, strict=False)


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
