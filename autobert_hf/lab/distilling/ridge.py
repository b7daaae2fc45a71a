"""Ridge regression between hidden states: it initializes learned maps and gives the floor of a distillation."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Ridge:
    """
    Accumulates sums for the regression of y (rows, out) on x (rows, in) with intercept, in float64; `strength` is
    relative to the mean variance of x.
    """

    def __init__(self, strength: float = 1e-4) -> None:
        self.strength = strength
        self.rows = 0
        self.sums: list[Tensor] = []

    def add(self, x: Tensor, y: Tensor) -> None:
        x, y = x.double(), y.double()
        sums = [x.T @ x, x.T @ y, x.sum(0), y.sum(0), y.square().sum()]
        self.sums = sums if not self.rows else [old + new for old, new in zip(self.sums, sums, strict=True)]
        self.rows += len(x)

    def solve(self) -> tuple[Tensor, Tensor]:
        """Weight (out, in) and bias (out) in float32, as of `nn.Linear`."""
        _, xy, x, y, _ = self.sums
        mean, covariance = x / self.rows, self.covariance
        strength = self.strength * covariance.diagonal().mean()
        weight = torch.linalg.solve(
            covariance + strength * torch.eye(len(x), dtype=x.dtype, device=x.device),
            xy / self.rows - mean.outer(y / self.rows),
        ).T
        return weight.float(), (y / self.rows - weight @ mean).float()

    @property
    def covariance(self) -> Tensor:
        """Of x, (in, in)."""
        xx, _, x, _, _ = self.sums
        mean = x / self.rows
        return xx / self.rows - mean.outer(mean)

    @property
    def variance(self) -> float:
        """The variance of y, mean over its columns."""
        *_, y, squares = self.sums
        return ((squares - y.square().sum() / self.rows) / (self.rows * len(y))).item()


def ridge(pairs: Iterable[tuple[Tensor, Tensor]], strength: float = 1e-4) -> Ridge:
    fitted = Ridge(strength)
    for x, y in pairs:
        fitted.add(x, y)
    return fitted
