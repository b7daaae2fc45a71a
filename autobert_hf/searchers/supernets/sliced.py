"""The SuperPLM of AutoTinyBERT (section 3.2): one network whose slices are the architectures, and its training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from autobert_hf.lab.training.team import sum_gradients
from autobert_hf.lab.training.trainer import PARTS, Batch, Recipe, Trainer, to_device
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.modeling.slicing import Cut, LayerCut
from autobert_hf.modeling.subnetwork import Sliceable, SubNetwork
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import IN_LAYER


# What a sub-network is trained for: given a batch (and the teacher's answer to it, once for all), its loss.
Objective = Callable[[Batch], Callable[[SubNetwork], torch.Tensor]]


class SlicedSupernet:
    """
    Every architecture of an AutoTinyBERT space on the weights of `model`. `depths` names the layers of a network with
    so many; without, the first ones, which suits a supernet that is trained from scratch only: of a pretrained network
    they are the worst choice.
    """

    def __init__(self, model: AutoBertPreTrainedModel, depths: Mapping[int, Sequence[int]] | None = None) -> None:
        self.model = model
        self.sliceable = Sliceable(model)
        self.depths = dict(depths or {})

    def cut(self, architecture: Architecture) -> Cut:
        settings, layers = dict(architecture.settings), architecture.layer_dicts
        sources = self.depths.get(len(layers), range(len(layers)))
        hidden_size, whole = settings["hidden_size"], self.sliceable.cut
        factorized = whole.embedding_size != whole.hidden_size
        cuts = [
            LayerCut(source, **{name: (settings | layer)[name] for name in IN_LAYER})
            for source, layer in zip(sources, layers, strict=True)
        ]
        return Cut(hidden_size, whole.embedding_size if factorized else hidden_size, tuple(cuts))

    def part(self, architecture: Architecture) -> SubNetwork:
        """The architecture as a function on the shared weights, until the optimizer's next step."""
        return self.sliceable.part(self.cut(architecture))

    def extract(self, architecture: Architecture) -> PreTrainedModel:
        """The architecture as an ordinary model of its own, with these weights."""
        return self.sliceable.extract(self.cut(architecture))


def masked_lm(batch: Batch) -> Callable[[SubNetwork], torch.Tensor]:
    """The objective of pre-training: masked words."""
    return lambda network: network(**batch).loss


class Trainee(nn.Module):
    """The supernet's weights and, beside them, what the objective learns (a map to the teacher's width)."""

    def __init__(self, model: PreTrainedModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective if isinstance(objective, nn.Module) else None
        self.config = model.config


class SupernetTrainer(Trainer):
    """
    Each update follows the mean gradient of all sub-networks that `sample(step, part)` names for the parts of the
    batch. A part and its sub-networks belong to one process; the parts are the same on any number of processes (up to
    `parts`), so that one process and two train the same supernet.
    """

    def __init__(
        self,
        supernet: SlicedSupernet,
        objective: Objective,
        sample: Callable[[int, int], Sequence[Architecture]],
        recipe: Recipe,
        accelerator: Accelerator,
        parts: int = PARTS,
    ) -> None:
        trainee: Any = Trainee(supernet.model, objective)  # of a model the trainer needs no more than this
        super().__init__(trainee, recipe, accelerator, shared=True)
        self.supernet = supernet
        self.objective = objective
        self.sample = sample
        self.parts = max(parts, accelerator.num_processes)

    def differentiate(self, batch: Batch) -> float:
        rows = {name: tensor.tensor_split(self.parts) for name, tensor in batch.items()}
        total = torch.zeros((), device=self.accelerator.device)
        for part in range(self.accelerator.process_index, self.parts, self.accelerator.num_processes):
            own = to_device({name: rows[name][part] for name in rows}, self.accelerator)
            architectures = self.sample(self.step, part)
            with self.accelerator.autocast():
                loss_of = self.objective(own)
            for architecture in architectures:
                with self.accelerator.autocast():
                    loss = loss_of(self.supernet.part(architecture)) / (len(architectures) * self.parts)
                self.accelerator.backward(loss)
                total += loss.detach()
        sum_gradients(self.parameters, self.accelerator)
        return self.accelerator.reduce(total, "sum").item()
