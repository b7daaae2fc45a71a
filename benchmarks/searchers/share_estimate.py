"""
How much of an objective is additive by position (see landscapes.py), estimated from evaluated networks.

    y = its round + occupancy + operations + interactions + rest

Rounds are fixed effects, since later rounds start from weights that were trained longer: only networks of one round
compare. So is occupancy, the counts of positions. Operations and interactions, more columns than there are networks,
are random effects, as the effects of genes are in genetics. Their shares h and i of what is left come from the
restricted likelihood of y ~ N(fixed, s^2 (h K + i L + (1 - h - i) I)): K holds what networks share by their genes, L
what they share by pairs of neighbouring genes beyond what the genes let expect. (Without L, networks with equal pairs,
which have equal genes too, make the additive share seem larger by 0.1 in the landscapes; interactions of another shape
than between neighbours may still do so.) Unlike a cross-validated R^2, which stands beside it as a lower bound, h does
not shrink because there are few networks. Noise, and interactions that no two networks share, stay in the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, null_space, solve_triangular


STEPS = [0.04 * step for step in range(25)]
GRID = [(h, i) for h in STEPS for i in STEPS if h + i < 0.99]


@dataclass(frozen=True)
class Shares:
    """
    Of the variance within rounds: `occupancy` (adjusted R^2), `additive` with the limits of its likelihood interval
    (95 percent), `interactions` of neighbours, `rest` (noise and other interactions); `predicted` is what the genes of
    the other networks explain of each network left out, beyond its occupancy: below zero where they mislead.
    """

    occupancy: float
    additive: float
    low: float
    high: float
    interactions: float
    rest: float
    predicted: float
    networks: int


def estimate(values: np.ndarray, x: np.ndarray, pairs: np.ndarray, sums: np.ndarray, rounds: Sequence[int]) -> Shares:
    """
    `values` (n,), counts of genes `x` (n, genes) and of `pairs` of them (n, pairs), less what the genes let expect;
    `sums` (genes, positions) adds genes up to positions.
    """
    by_round = one_column_each(rounds)
    within, free = outside(by_round), outside(np.column_stack([by_round, x @ sums]))
    left = mean_square(free.T @ values) / mean_square(within.T @ values)
    by_genes, by_pairs = _similarity(free.T @ x), _similarity(free.T @ pairs)
    (h, i), low, high = _likeliest(free.T @ values, by_genes, by_pairs)
    errors = [
        _errors_left_out(values, within, np.eye(within.shape[1])),
        _errors_left_out(values, free, np.eye(free.shape[1])),
        _errors_left_out(values, free, h * by_genes + (1 - h) * np.eye(len(by_genes))),
    ]
    plain, without, with_genes = [mean_square(error) for error in errors]
    return Shares(
        occupancy=1 - left,
        additive=h * left,
        low=low * left,
        high=high * left,
        interactions=i * left,
        rest=(1 - h - i) * left,
        predicted=(without - with_genes) / plain,
        networks=len(values),
    )


def one_column_each(rounds: Sequence[int]) -> np.ndarray:
    return np.array([[float(r == number) for number in sorted(set(rounds))] for r in rounds])


def outside(fixed: np.ndarray) -> np.ndarray:
    """(n, n - rank): an orthonormal basis of what the fixed effects cannot reach."""
    return null_space(fixed.T)


def mean_square(values: np.ndarray) -> float:
    return float(np.mean(values**2))


def _similarity(table: np.ndarray) -> np.ndarray:
    """Inner products of rows, 1 in the mean of the diagonal."""
    products = table @ table.T
    return products / (np.trace(products) / len(products))


def _likeliest(z: np.ndarray, by_genes: np.ndarray, by_pairs: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """(h, i) of the highest restricted likelihood, and the range of h less than 1.92 below it (95 percent)."""
    likelihood = []
    for h, i in GRID:
        root = cholesky(h * by_genes + i * by_pairs + (1 - h - i) * np.eye(len(z)), lower=True)
        white = solve_triangular(root, z, lower=True)
        likelihood.append(-np.log(np.diag(root)).sum() - 0.5 * len(z) * np.log(mean_square(white)))
    best = int(np.argmax(likelihood))
    likely = [h for (h, _), value in zip(GRID, likelihood, strict=True) if value > likelihood[best] - 1.92]
    return GRID[best], min(likely), max(likely)


def _errors_left_out(values: np.ndarray, free: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """By how much each value is missed that is predicted from the others; 0 for one that no other can predict."""
    precision = free @ np.linalg.solve(covariance, free.T)
    own = np.diag(precision)
    return np.divide(precision @ values, own, out=np.zeros_like(own), where=own > 1e-9)
