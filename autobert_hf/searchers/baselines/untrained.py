"""Baselines from a teacher without training: the teacher in int8, and a table of static word vectors."""

import copy
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch


SIF = 1e-3  # a of the weights a / (a + frequency) (Arora et al., 2017)


def in_int8(teacher: PreTrainedModel) -> PreTrainedModel:
    """The teacher with torch's dynamic quantization: int8 weights of linear maps, activations scaled at run time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation: torch is moving this function
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(teacher).cpu(), {nn.Linear}, dtype=torch.qint8)


class StaticTable(nn.Module):
    """
    One vector per token and no network: the teacher's word embeddings with higher weights for rare tokens and without
    the direction common to all texts. The output is their mean at each token, so that any pooling gives it.
    """

    table: Tensor

    def __init__(self, teacher: PreTrainedModel, batches: Sequence[Batch], special_ids: Sequence[int]) -> None:
        super().__init__()
        self.config = teacher.config
        embeddings: Any = teacher.get_input_embeddings()
        words = embeddings.weight.detach().float().cpu()
        counts = torch.zeros(len(words))
        for batch in batches:
            real = batch["input_ids"][batch["attention_mask"].bool()].cpu()
            counts += torch.bincount(real, minlength=len(words))
        weights = SIF / (SIF + counts / counts.sum())
        weights[torch.tensor(special_ids)] = 0
        self.register_buffer("table", words * weights[:, None])
        pooled = torch.cat([self.pool(batch) for batch in batches])
        shared = torch.linalg.svd(pooled, full_matrices=False).Vh[0]
        self.table -= (self.table @ shared)[:, None] * shared

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **unused: Tensor) -> SimpleNamespace:
        mean = self.pool({"input_ids": input_ids, "attention_mask": attention_mask})
        return SimpleNamespace(last_hidden_state=mean[:, None].expand(-1, input_ids.shape[1], -1))

    def pool(self, batch: Batch) -> Tensor:
        mask = batch["attention_mask"].cpu()[..., None]
        return (self.table[batch["input_ids"].cpu()] * mask).sum(1) / mask.sum(1)
