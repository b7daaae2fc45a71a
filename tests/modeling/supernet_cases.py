"""Supernets as small as can be, saved to folders."""

from pathlib import Path

import torch

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertSuperNet, SuperNetSpace

from .slicing_cases import enlarged


SIZES = {"vocab_size": 100, "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 96, "max_position_embeddings": 32}
TWICE = {"num_hidden_layers": 2, "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 4, "head_dim": 6}
THRICE = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "head_dim": 4}
FRONT = [
    {"name": "3x", "sizes": THRICE, "scores": {"latency": 0.33, "loss": 4.0}},
    {"name": "2x", "sizes": TWICE, "scores": {"latency": 0.5, "loss": 3.0}},
]
BOX = {"num_hidden_layers": [1, 4, 1], "hidden_size": [12, 48, 4], "intermediate_size": [16, 96, 8]}
NARROWED = BOX | {"num_attention_heads": [4, 4, 1], "head_dim": [3, 12, 1]}
DROPPED = BOX | {"num_attention_heads": [1, 4, 1], "head_dim": [12, 12, 1]}
QUALITY = {"name": "loss", "unit": "nats", "direction": "minimize"}


def supernet(head: type = AutoBertForMaskedLM, **settings: object) -> AutoBertSuperNet:
    torch.manual_seed(0)
    network = enlarged(head(AutoBertConfig(**(SIZES | settings))))
    return AutoBertSuperNet.wrap(network, SuperNetSpace(NARROWED, {"2": [0, 2]}, FRONT, QUALITY, "a machine", "it"))


def saved(folder: Path, head: type = AutoBertForMaskedLM, **settings: object) -> Path:
    supernet(head, **settings).save_pretrained(folder)
    return folder
