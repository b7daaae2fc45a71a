"""A teacher of three layers that knows nothing yet, with its tokenizer, in a folder: what a run is told to shrink."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from autobert_hf.lab.builtin_text import corpus
from autobert_hf.lab.text import train_tokenizer


def tiny_teacher(folder: Path, **sizes: int) -> Path:
    """Its weights are ten times as large as BERT's at the start, so that every layer changes something."""
    tokenizer = train_tokenizer(corpus(200, seed=0), 200, 64)
    given = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96} | sizes
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.2, **given)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
