"""The alignment of MAGIC-A (Xu et al., 2022): sub-networks are drawn to the block outputs of an anchor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import real_tokens
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Score, Step


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
        recording = Recording(network)
        terms = of_loss(recording)
        states = torch.stack([recording.hidden_states[end][real] for end in self.ends]).float()
        return terms, layer_norm(states, states.shape[-1:])

    def score(self, batch: Batch) -> Score:
        """That of the loss alone: alignment is a means, not an end."""
        return self.loss.score(batch)


class Recording:
    """A network that keeps the hidden states of its last call: those of the embeddings, then of each layer."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.hidden_states: tuple[Tensor, ...] = ()

    @property
    def config(self) -> PreTrainedConfig:
        return self.network.config

    def __call__(self, **batch: Any) -> Any:  # noqa: ANN401 (what the head gives)
        answer = self.network(**batch, output_hidden_states=True)
        self.hidden_states = answer.hidden_states
        return answer
