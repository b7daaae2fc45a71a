"""The learned maps at both ends of a student's block: from the teacher's width to the student's, and back."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from autobert_hf.lab.distilling.ridge import Ridge


LEAST = 1e-3  # of the variance of the teacher's states


class BlockMaps(nn.Module):
    """
    `into` maps a teacher's state (rows, teacher_width) to `width`, `out_of` maps a student's state back. `floor`: the
    mean squared error of the best linear map between the teacher's states at both ends, which mixes no tokens.
    """

    floor: Tensor

    def __init__(self, teacher_width: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(teacher_width, width)
        self.out_of = nn.Linear(width, teacher_width)
        self.register_buffer("floor", torch.ones(()))

    @torch.no_grad()
    def fit(self, fitted: Ridge, measured: Iterable[tuple[Tensor, Tensor]]) -> None:
        """
        Starts from the linear map of `fitted`, as far as it goes through the student's width: its principal outputs,
        with a variance of 1. The floor is that of the whole linear map on `measured`.
        """
        weight, bias = fitted.solve()
        weight_in, weight_out = reduced(weight.double(), fitted.covariance, self.into.out_features)
        self.into.weight.copy_(weight_in)
        self.out_of.weight.copy_(weight_out)
        self.into.bias.zero_()
        self.out_of.bias.copy_(bias)
        errors = [(linear(x, weight, bias) - y).float().square().mean(-1) for x, y in measured]
        # Where the teacher's layers are (nearly) linear themselves, their error is no scale.
        self.floor.copy_(torch.cat(errors).mean().clamp(min=LEAST * fitted.variance))


def reduced(weight: Tensor, covariance: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(rank, in) and (out, rank): of products of that rank the one whose outputs are nearest to those of `weight`."""
    variances, directions = torch.linalg.eigh(weight @ covariance @ weight.T)  # ascending
    scale, directions = variances[-rank:].clamp(min=1e-12).sqrt(), directions[:, -rank:]
    into, out_of = weight.new_zeros(rank, weight.shape[1]), weight.new_zeros(len(weight), rank)
    into[: len(scale)] = (directions / scale).T @ weight
    out_of[:, : len(scale)] = directions * scale
    return into, out_of
