"""
How alike the tokens of a text have become in each layer (AutoBERT-Zero, Figure 5): in a deep network of attention
alone, all tokens converge to one vector (Dong et al., 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.modeling.bert_family import longest_input


@dataclass(frozen=True)
class Uniformity:
    """Of one layer's output, mean over texts: `residual` is 0 and `cosine` 1 if all tokens are equal."""

    residual: float
    cosine: float


def token_uniformity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[tuple[str, ...]],
    length: int = 64,
    batch: int = 32,
) -> list[Uniformity]:
    """
    Uniformity of the embeddings and of each layer's output. A text is a sentence or a pair of them. Texts are cut
    after `length` tokens; those of one token are left out; special tokens count as tokens, padding does not.

    Raises:
        ValueError: if no text has two tokens.
    """
    limit = min(length, tokenizer.model_max_length, longest_input(model.config) or length)
    found: list[list[Uniformity]] = []
    for start in range(0, len(texts), batch):
        sentences = (list(column) for column in zip(*texts[start : start + batch], strict=True))
        inputs = tokenizer(*sentences, truncation=True, max_length=limit, padding=True, return_tensors="pt")
        found += _of_batch(model, inputs)
    if not found:
        raise ValueError("None of the texts has two tokens to compare: give longer ones.")
    return [
        Uniformity(mean(u.residual for u in layer), mean(u.cosine for u in layer))
        for layer in zip(*found, strict=True)
    ]


@torch.inference_mode()
def _of_batch(model: PreTrainedModel, inputs: BatchEncoding) -> list[list[Uniformity]]:
    """For each text with two tokens or more, the uniformity of every layer."""
    states = model.eval()(**inputs.to(model.device), output_hidden_states=True).hidden_states
    masks = inputs["attention_mask"].bool()
    rows = [row for row, mask in enumerate(masks) if mask.sum() > 1]
    return [[uniformity(state[row, masks[row]].double()) for state in states] for row in rows]


def uniformity(x: torch.Tensor) -> Uniformity:
    """
    x (tokens, width), at least two tokens. `residual` is |x - 1 m^T| / |x| in the norm sqrt(|.|_1 |.|_inf), with the
    mean over tokens for m, as Dong et al. computed it (the least-squares choice; the norm's own has no closed form).
    `cosine` is the mean over all pairs of different tokens.
    """
    residual = composite_norm(x - x.mean(0)) / composite_norm(x)
    units = torch.nn.functional.normalize(x, dim=-1)
    n = len(x)
    cosine = (units.sum(0).square().sum() - units.square().sum()) / (n * (n - 1))
    return Uniformity(residual.item(), cosine.item())


def composite_norm(x: torch.Tensor) -> torch.Tensor:
    """sqrt(|x|_1 |x|_inf): the largest absolute column sum times the largest absolute row sum."""
    return (x.abs().sum(0).max() * x.abs().sum(1).max()).sqrt()
