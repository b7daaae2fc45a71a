"""A small world for searchers: words a toy model can learn, a space of two layers, a supernet."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets.branched import Supernet


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


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A teacher of three layers that knows nothing yet, with its tokenizer, in a folder of sentence-transformers. Its
    weights are ten times as large as BERT's at the start, so that every layer changes something.
    """
    folder = tmp_path_factory.mktemp("teacher")
    tokenizer = train_tokenizer(corpus(200, seed=0), 200, 64)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.2, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder
