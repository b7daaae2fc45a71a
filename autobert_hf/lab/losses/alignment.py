"""The alignment of MAGIC-A (Xu et al., 2022): sub-networks are drawn to the block outputs of an anchor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import real_tokens
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Score, Step, model_of
from autobert_hf.modeling.modeling_autobert import AutoBertModel, AutoBertPreTrainedModel


class Aligned(Loss):
    """
    `loss` plus `weight` times the mean squared error between the layer-normed outputs of each block of `block` layers
    and those of the `anchors` of a step, averaged over the anchors, which get no gradient. From step `begin` on:
    before, the outputs of an untrained anchor would be the target. The paper gives neither weight, block nor warm-up.

    Raises:
        ValueError: if a network has no whole block.
    """

    def __init__(
        self,
        loss: Loss,
        anchors: Callable[[Step], Sequence[Network]],
        layers: int,
        weight: float = 0.5,
        block: int = 2,
        begin: int = 0,
    ) -> None:
        super().__init__(PreTrainedConfig())
        if not 1 <= block <= layers:
            raise ValueError(f"A chain of {layers} layers has no block of {block}: give --block 1 to {layers}.")
        self.loss = loss
        self.anchors = anchors
        self.ends = range(block, layers + 1, block)
        self.weight = weight
        self.begin = begin

    def items(self, batch: Batch) -> dict[str, int]:
        return self.loss.items(batch) | {"alignment": int(real_tokens(batch).sum())}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        of_loss = self.loss(batch, items, step)
        if not self.weight or step.number < self.begin:
            return of_loss
        real = real_tokens(batch)
        with torch.no_grad():
            targets = [self.blocks(of_loss, anchor, real)[1] for anchor in self.anchors(step)]
        target = torch.stack(targets).mean(0)

        def losses(network: Network) -> dict[str, Tensor]:
            terms, blocks = self.blocks(of_loss, network, real)
            error = (blocks - target).square().mean(-1).sum()
            return terms | {"alignment": self.weight * error / items["alignment"]}

        return losses

    def blocks(self, of_loss: Losses, network: Network, real: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of the loss, and (blocks, real tokens, width): layer-normed outputs in the same forward pass."""
        with outputs_of(model_of(network), self.ends) as found:
            terms = of_loss(network)
        states = torch.stack([found[end][real] for end in self.ends]).float()
        return terms, layer_norm(states, states.shape[-1:])

    def score(self, batch: Batch) -> Score:
        """That of the loss alone: alignment is a means, not an end."""
        return self.loss.score(batch)


@contextmanager
def outputs_of(model: AutoBertPreTrainedModel, numbers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Yields the outputs (batch, tokens, width) of the layers with these numbers, from 1, when the model has run."""
    encoder, found = model.base_model, dict[int, Tensor]()
    assert isinstance(encoder, AutoBertModel)
    hooks = [
        encoder.encoder.layers[number - 1].register_forward_hook(partial(_keep, found, number)) for number in numbers
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _keep(found: dict[int, Tensor], number: int, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
    found[number] = output
