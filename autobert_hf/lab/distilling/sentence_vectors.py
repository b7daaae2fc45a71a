"""How a teacher of sentence embeddings makes one vector of a text's hidden states."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autobert_hf.lab.distilling.sentence_files import kind_of, modules_of, settings_of


# (batch, tokens, width) and which tokens are real, padded on the right -> (batch, width).
Pool = Callable[[Tensor, Tensor], Tensor]


def _mean(hidden: Tensor, real: Tensor) -> Tensor:
    weights = real[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _weighted_mean(hidden: Tensor, real: Tensor) -> Tensor:
    weights = (real * torch.arange(1, real.shape[1] + 1, device=real.device))[..., None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


# sentence-transformers' names.
POOLS: dict[str, Pool] = {
    "cls": lambda hidden, real: hidden[:, 0],
    "max": lambda hidden, real: hidden.masked_fill(~real[..., None], -torch.inf).amax(1),
    "mean": _mean,
    "mean_sqrt_len_tokens": lambda hidden, real: _mean(hidden, real) * real.sum(1, keepdim=True).sqrt(),
    "weightedmean": _weighted_mean,
    "lasttoken": lambda hidden, real: hidden[torch.arange(len(hidden), device=hidden.device), real.sum(1) - 1],
}
# In configurations before sentence-transformers 5.4.
OLD_NAMES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class SentenceVectors:
    """`modes`: names of `POOLS`, whose vectors are joined; `behind`: sentence-transformers' modules after pooling."""

    modes: tuple[str, ...] = ("mean",)
    behind: nn.Module | None = None

    def pooled(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, modes x width), as of a student: it has the teacher's pooling and nothing behind it."""
        return torch.cat([POOLS[mode](hidden, real) for mode in self.modes], dim=-1).float()

    def __call__(self, hidden: Tensor, real: Tensor) -> Tensor:
        """The teacher's own vectors, (batch, width)."""
        pooled = self.pooled(hidden, real)
        return pooled if self.behind is None else self.behind({"sentence_embedding": pooled})["sentence_embedding"]


def sentence_vectors(source: str) -> SentenceVectors:
    """
    As the folder or id says in sentence-transformers' files; the mean without such files. What cannot be used is said
    in a warning.
    """
    modules = modules_of(source)
    kinds = [kind_of(module) for module in modules]
    if kinds[1:2] != ["Pooling"]:
        if kinds[1:]:
            warnings.warn(
                f"The sentence vectors of {source} are made by {', '.join(kinds[1:])}, which is not known here: the "
                "means of its hidden states are used.",
                stacklevel=2,
            )
        return SentenceVectors()
    config = settings_of(source, f"{modules[1]['path']}/config.json")
    behind = None if set(kinds[2:]) <= {"Normalize"} else _behind(source, kinds[2:])
    return SentenceVectors(_modes(source, config), behind)


def _modes(source: str, config: dict[str, Any]) -> tuple[str, ...]:
    given = config.get("pooling_mode") or [new for old, new in OLD_NAMES.items() if config.get(old)]
    modes = [given] if isinstance(given, str) else [*given]
    if unknown := [str(mode) for mode in modes if mode not in POOLS]:
        warnings.warn(
            f"The pooling {', '.join(unknown)} of {source} is not known here: the means of its hidden states are "
            "used.",
            stacklevel=3,
        )
        return ("mean",)
    return tuple(modes) or ("mean",)


def _behind(source: str, kinds: list[str]) -> nn.Module | None:
    """The modules after pooling, with their weights, in fp32."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        warnings.warn(
            f"The teacher {source} has {', '.join(kinds)} behind its pooling: without sentence-transformers (`pip "
            "install sentence-transformers`), its vectors are compared before that.",
            stacklevel=3,
        )
        return None
    modules = [*SentenceTransformer(source, device="cpu").children()][2:]
    return nn.Sequential(*modules).float().eval().requires_grad_(False)
