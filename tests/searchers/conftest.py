"""A small world for searchers: words a toy model can learn, a space of two layers, a supernet."""

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig
from autobert_hf.lab.mlm import MaskedBatches
from autobert_hf.searchers.architecture import Architecture
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernet import Supernet


class SmallSpace(AutoBertZeroSpace):
    def of_kernels(self, *kernels: int) -> Architecture:
        sizes = (kernels * self.num_hidden_layers)[: self.num_hidden_layers]
        return Architecture.of([{"layer_type": "conv", "conv_kernel_size": size} for size in sizes])


@pytest.fixture
def space() -> SmallSpace:
    return SmallSpace(num_hidden_layers=3)


@pytest.fixture
def base() -> AutoBertConfig:
    return AutoBertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


@pytest.fixture
def supernet(space: SmallSpace, base: AutoBertConfig) -> Supernet:
    return Supernet(space, base, seed=0)


@pytest.fixture
def batches() -> MaskedBatches:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    words |= {f"w{index}": index for index in range(5, 60)}
    start = torch.arange(64) % 50
    rows = 5 + (start[:, None] + torch.arange(24)) % 50  # counting: every word follows from its neighbours
    return MaskedBatches(rows, BertTokenizer(vocab=words), batch_size=8, seed=1)
