"""The networks that transformers' tests run on, and what its mixins ask of a model tester."""

from typing import Any

import torch
from transformers import PreTrainedModel

from autobert_hf import AutoBertConfig


BERT = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
}
AUTOBERT_ZERO = {
    "num_hidden_layers": 3,
    "layer_types": ["conv", "full_attention", "full_attention"],
    "per_layer_config": {
        0: {"conv_kernel_size": 9},
        1: {"attention_formula": "z = k / sqrt(d) + softsign(k) + v; softmax(q @ z.T / sqrt(d)) @ (v + q)"},
        2: {"attention_formula": "softmax(q @ softplus(k).T / sqrt(d)) @ v + p"},
    },
}
SHAPES = {
    "bert": {},
    "autobert_zero": AUTOBERT_ZERO,
    "wide_attention": {"num_attention_heads": 3, "head_dim": 16},
    "skips_and_widths": {
        "num_hidden_layers": 4,
        "embedding_size": 24,
        "per_layer_config": {
            1: {"layer_width": 16, "skip": ["feed_forward"]},
            2: {"layer_width": 16, "skip": ["mixer"]},
        },
    },
    "separable": {"layer_types": ["conv", "full_attention"], "conv_type": "separable", "conv_kernel_size": 5},
    "decoder": {"is_decoder": True},
    "hybrid_decoder": {"is_decoder": True, "layer_types": ["hybrid"] * 2, "qkv_conv_size": 3},
    "mixed_decoder": {
        "is_decoder": True,
        "layer_types": ["conv", "full_attention"],
        "conv_kernel_size": 5,
        "attention_formula": "z = k / sqrt(d) + v; softmax(q @ softplus(z).T / sqrt(d)) @ (v + q)",
    },
}


def settings_of(shape: str) -> dict[str, Any]:
    return BERT | SHAPES[shape]


def build(head: type[PreTrainedModel], shape: str, **overrides: Any) -> PreTrainedModel:
    """A network with weights so large that a lost cache or leaking padding shows; at 0.02 neither does."""
    torch.manual_seed(0)
    model = head(AutoBertConfig(**settings_of(shape) | overrides))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model.eval()


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(1, BERT["vocab_size"], (batch, length), generator=torch.Generator().manual_seed(length))


class ModelTester:
    """Named and shaped as the testers that transformers keeps beside each of its models."""

    batch_size = 3
    seq_length = 7
    num_choices = 4
    is_training = True

    def __init__(self, shape: str) -> None:
        self.settings = settings_of(shape)
        self.num_hidden_layers = self.settings["num_hidden_layers"]
        self.num_attention_heads = self.settings["num_attention_heads"]
        self.hidden_size = self.settings["hidden_size"]

    def get_config(self) -> AutoBertConfig:
        return AutoBertConfig(**self.settings)

    def prepare_config_and_inputs_for_common(self) -> tuple[AutoBertConfig, dict[str, torch.Tensor]]:
        config, size = self.get_config(), (self.batch_size, self.seq_length)
        inputs = {
            "input_ids": torch.randint(1, config.vocab_size, size),
            "attention_mask": torch.ones(size, dtype=torch.long),
            "token_type_ids": torch.randint(config.type_vocab_size, size),
        }
        return config, inputs
