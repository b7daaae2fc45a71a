"""Sizes, weights and batches for tests of what is learned from a teacher."""

from typing import TypeVar

import torch
from torch import nn


SIZES = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 32, "max_position_embeddings": 32}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

Model = TypeVar("Model", bound=nn.Module)


def enlarged(model: Model) -> Model:
    """At the usual initialisation an error hides below the tolerance."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def batch(seed: int = 0, tokens: int = 9) -> dict[str, torch.Tensor]:
    """Four rows of 9, 5, 7 and 2 real tokens, padded to `tokens`."""
    ids = torch.randint(1, 60, (4, 9), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(tokens) < torch.tensor([[9], [5], [7], [2]])).long()
    return {"input_ids": nn.functional.pad(ids, (0, tokens - 9)), "attention_mask": mask}
