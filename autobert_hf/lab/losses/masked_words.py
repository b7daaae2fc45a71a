"""BERT's pre-training losses: masked-language modelling, alone or with next-sentence prediction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Step
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM, AutoBertForPreTraining, AutoBertPreTrainedModel


@contextmanager
def sparse_prediction(config: PreTrainedConfig) -> Iterator[None]:
    """Computes vocabulary logits at labelled positions only, which shrinks the largest tensor to 15 %."""
    before, config.sparse_prediction = config.sparse_prediction, True
    try:
        yield
    finally:
        config.sparse_prediction = before


class MaskedWords(Loss):
    """Masked-language-modelling loss: mean cross entropy over labelled tokens (batch["labels"] not -100), in nats."""

    unit = "nats per masked token"
    rows = "packed"
    head: ClassVar[type[AutoBertPreTrainedModel]] = AutoBertForMaskedLM

    def items(self, batch: Batch) -> dict[str, int]:
        return {"mlm": int((batch["labels"] != -100).sum())}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        number = max(items["mlm"], 1)  # a batch of which no token is labelled teaches nothing

        def losses(network: Network) -> dict[str, Tensor]:
            with sparse_prediction(network.config):
                return {"mlm": network(**batch, num_items_in_batch=number).loss}

        return losses

    @torch.no_grad()
    def accuracy(self, network: Network, batches: Sequence[Batch]) -> float:
        right, labelled = 0, 0
        for batch in batches:
            with sparse_prediction(network.config):
                found = self.logits(network, batch).argmax(-1)
            labels = batch["labels"][batch["labels"] != -100]
            right, labelled = right + int((found == labels).sum()), labelled + len(labels)
        return right / max(labelled, 1)

    def logits(self, network: Network, batch: Batch) -> Tensor:
        return network(**batch).logits

    def floor(self, text: Text) -> float | None:
        """The loss of a model that knows only token frequencies."""
        return text.floor

    def floors(self, text: Text) -> dict[str, float]:
        return {"floor": text.floor}


class MaskedWordsAndPairs(MaskedWords):
    """The masked-language-modelling loss plus next-sentence prediction, mean cross entropy over pairs of texts."""

    unit = "nats per masked token and pair of sentences"
    rows = "pairs"
    head = AutoBertForPreTraining

    def logits(self, network: Network, batch: Batch) -> Tensor:
        return network(**batch).prediction_logits

    def items(self, batch: Batch) -> dict[str, int]:
        return super().items(batch) | {"nsp": len(batch["next_sentence_label"])}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        inputs = {name: tensor for name, tensor in batch.items() if name != "next_sentence_label"}
        follows = batch["next_sentence_label"]
        number = max(items["mlm"], 1)

        def losses(network: Network) -> dict[str, Tensor]:
            with sparse_prediction(network.config):
                out = network(**inputs, num_items_in_batch=number)
            pairs = cross_entropy(out.seq_relationship_logits.float(), follows, reduction="sum")
            return {"mlm": out.loss, "nsp": pairs / items["nsp"]}

        return losses
