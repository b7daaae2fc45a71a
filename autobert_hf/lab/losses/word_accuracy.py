"""The share of words that a language model names right."""

from collections.abc import Sequence

import torch

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Network
from autobert_hf.lab.losses.masked_words import sparse_prediction


@torch.no_grad()
def word_accuracy(network: Network, batches: Sequence[Batch]) -> float:
    """Over the labelled positions of all batches; the network's head is one for masked words."""
    right, labelled = 0, 0
    for batch in batches:
        with sparse_prediction(network.config):
            found = network(**batch).logits.argmax(-1)
        labels = batch["labels"][batch["labels"] != -100]
        right, labelled = right + int((found == labels).sum()), labelled + len(labels)
    return right / max(labelled, 1)
