"""What a model found within a limit has to beat there: rules of thumb, cuts, and what needs no training at all."""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from autobert_hf.lab.losses.distillation import Batch, Signals, sentence_loss, signals
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


Score = Callable[[Architecture], float]
SIF = 1e-3  # a of the weights a / (a + frequency) (Arora et al., 2017)


def default_rules(space: AutoTinyBertSpace) -> list[Architecture]:
    """Every network of BERT's rule that the supernet holds: d_qkv = d_m, d_f = 4 d_m; widths on no grid but heads'."""
    heads, dims = max(space.num_attention_heads), max(space.head_dim)
    whole = len(space.num_attention_heads) > 1
    shapes = [(n, dims) for n in space.num_attention_heads] if whole else [(heads, dim) for dim in range(1, dims + 1)]
    found = []
    for number, dim in shapes:
        width = number * dim
        if width <= max(space.hidden_size) and 4 * width <= max(space.intermediate_size):
            sizes = {"num_attention_heads": number, "head_dim": dim, "intermediate_size": 4 * width}
            layers = [[{"layer_type": "full_attention"}] * depth for depth in space.num_hidden_layers]
            found += [Architecture.of(alike, hidden_size=width, **sizes) for alike in layers]
    return found


def slowest_defaults(space: AutoTinyBertSpace, latency: Score, limit: float) -> list[Architecture]:
    """Of each number of layers the slowest network of BERT's rule within the limit."""
    slowest: dict[int, Architecture] = {}
    for one in sorted(default_rules(space), key=latency):
        if latency(one) <= limit:
            slowest[len(one.layers)] = one
    return [*slowest.values()]


def best_default(space: AutoTinyBertSpace, latency: Score, limit: float, loss: Score) -> Architecture | None:
    """Of each number of layers the slowest within the limit; of these the one with the least loss."""
    return min(slowest_defaults(space, latency, limit), key=loss, default=None)


def deepest_cut(space: AutoTinyBertSpace, latency: Score, limit: float) -> Architecture | None:
    """The most layers in full width that keep the limit."""
    largest = space.largest()
    cuts = [Architecture(largest.layers[:depth], largest.settings) for depth in space.num_hidden_layers]
    return max((cut for cut in cuts if latency(cut) <= limit), key=latency, default=None)


def in_int8(teacher: PreTrainedModel) -> PreTrainedModel:
    """Weights of linear maps in 8 bits, activations scaled as they come, by torch itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch will move this elsewhere
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(teacher).cpu(), {nn.Linear}, dtype=torch.qint8)


class StaticTable(nn.Module):
    """
    A vector for each word and no network: the teacher's word embeddings, rare words weighing more, the direction that
    all texts share taken out. Mean pooling of its "hidden states" gives sentence vectors.
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
        return SimpleNamespace(last_hidden_state=self.table[input_ids])

    def pool(self, batch: Batch) -> Tensor:
        mask = batch["attention_mask"].cpu()[..., None]
        return (self.table[batch["input_ids"].cpu()] * mask).sum(1) / mask.sum(1)


@torch.no_grad()
def sentence_errors(
    models: Mapping[str, nn.Module], teacher: PreTrainedModel, batches: Sequence[Batch]
) -> dict[str, float]:
    """
    Mean squared difference to the teacher's cosines between the sentences of a batch: no map, no width, no loss. The
    models are moved to the CPU, where 8 bits are.
    """
    answers = [signals(teacher, batch).hidden.cpu() for batch in batches]
    own = [{name: tensor.cpu() for name, tensor in batch.items()} for batch in batches]
    found = {}
    for name, model in models.items():
        network: Any = model.cpu().eval()
        errors = [
            sentence_loss(signals(network, batch), Signals(answer, None, batch["attention_mask"].bool()))
            for batch, answer in zip(own, answers, strict=True)
        ]
        found[name] = torch.stack(errors).mean().item()
    return found
