"""
Self-relations of queries, of keys and of values (MiniLMv2, Wang et al., 2021), compared in one of three ways. Heads
are joined and split again, so that student and teacher may differ in their heads and widths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax

from autobert_hf.lab.distilling.attention_record import Projections
from autobert_hf.lab.distilling.signals import DistillationError


Comparison = Literal["kl", "mse", "raw"]
LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True)
class RelationTerm:
    """
    `heads`: relation heads. `comparison`: `kl` is MiniLMv2's KL(teacher || student), mean over heads and real tokens;
    `mse` the squared difference of probabilities (AutoDistil, section 3.2), `raw` that of the scores before the
    softmax (its released code), both means over heads and pairs of real tokens. The three relations are added up.
    """

    heads: int
    comparison: Comparison = "kl"

    def count(self, real: Tensor) -> int:
        """The number of items that the term is a mean over; `real`: (batch, tokens)."""
        lengths = real.sum(1)
        return int(lengths.sum() if self.comparison == "kl" else lengths.square().sum())

    def of(self, attention: Projections, real: Tensor) -> list[Tensor]:
        """
        Of queries, keys and values, each (batch, heads, tokens, tokens): softmax(A A^T / sqrt(width)) without padding,
        as logarithms for `kl`; for `raw` what the softmax is taken of.

        Raises:
            DistillationError: if there are fewer features than relation heads.
        """
        scores = [self._scores(part) for part in (attention.query, attention.key, attention.value)]
        if self.comparison == "raw":
            return scores
        function = log_softmax if self.comparison == "kl" else softmax
        return [function(one.masked_fill(~real[:, None, None], LOWEST), dim=-1) for one in scores]

    def loss(self, student: Sequence[Tensor], teacher: Sequence[Tensor], real: Tensor) -> Tensor:
        """`student`, `teacher`: what `of` gives; relation heads are equally many in both."""
        kept = real[:, None] if self.comparison == "kl" else real[:, None, :, None] & real[:, None, None]
        values = [self._difference(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)]
        return torch.stack([masked_mean(one, kept) for one in values]).sum()

    def _scores(self, x: Tensor) -> Tensor:
        joined = x.transpose(1, 2).flatten(2)
        width = relation_width(joined.shape[-1], self.heads)
        parts = joined[..., : self.heads * width].unflatten(-1, (self.heads, width)).transpose(1, 2)
        return (parts @ parts.transpose(-1, -2)).float() * width**-0.5

    def _difference(self, student: Tensor, teacher: Tensor) -> Tensor:
        if self.comparison == "kl":
            return (teacher.exp() * (teacher - student)).sum(-1)
        return (teacher - student).square()


def relation_width(features: int, heads: int) -> int:
    """
    Features of a relation head. What is left over at the end is not used, as in AutoDistil's released code: of 7 heads
    with 64 features, 12 relation heads take 444 of 448.

    Raises:
        DistillationError: if it is zero.
    """
    if features < heads:
        raise DistillationError(
            f"{features} features cannot be split into {heads} relation heads, each would have a width of zero: give "
            "the students more or wider heads, or a teacher with fewer heads."
        )
    return features // heads


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    mask = mask.expand_as(values)
    return values.masked_fill(~mask, 0.0).sum() / mask.sum()
