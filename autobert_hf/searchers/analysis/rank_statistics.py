"""Rank agreement between scores, with bootstrap intervals over the networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch


RESAMPLES = 4000
Scores = Sequence[float]


@dataclass(frozen=True)
class Estimate:
    """A statistic of a sample of networks with its 95 percent bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


Agreement = dict[str, Estimate]


def rank_agreement(cheap: Mapping[str, Scores], real: Scores, seed: int = 0) -> dict[str, Agreement]:
    """
    Kendall's tau-b, Spearman's rho and pairwise accuracy (share of pairs in the right order, ties of the cheap score
    counted half) of each cheap score (n,) against the real one (n,); for all of them lower is better. NaN where a
    score is the same for all networks.
    """
    weights = _resamples(len(real), seed)
    return {
        name: {key: _estimate(v) for key, v in _statistics(scores, real, weights).items()}
        for name, scores in cheap.items()
    }


def agreement_difference(one: Scores, other: Scores, real: Scores, seed: int = 0) -> Agreement:
    """Agreement of `one` with `real` minus that of `other`, paired: both on the same resampled networks."""
    weights = _resamples(len(real), seed)
    first, second = (_statistics(scores, real, weights) for scores in (one, other))
    return {key: _estimate(first[key] - second[key]) for key in first}


def ceiling(runs: Sequence[Scores], seed: int = 0) -> Agreement | None:
    """Agreement between two trainings of the same networks (seeds, n), mean over all pairs; None for a single seed."""
    weights = _resamples(len(runs[0]), seed)
    pairs = [_statistics(a, b, weights) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    if not pairs:
        return None
    return {key: _estimate(torch.stack([pair[key] for pair in pairs]).mean(0)) for key in pairs[0]}


def buckets(sizes: Scores, number: int = 3) -> list[list[int]]:
    """Indices of the networks in `number` buckets of ascending size, as even as possible; equal sizes share one."""
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    places = [i for i in range(1, len(order)) if sizes[order[i]] != sizes[order[i - 1]]]
    wanted = [len(order) * part / number for part in range(1, number)]
    cuts = sorted({min(places, key=lambda place: abs(place - want)) for want in wanted}) if places else []
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


def _resamples(n: int, seed: int) -> torch.Tensor:
    """(1 + RESAMPLES, n): how often each network is in a resample; the first row is the original sample."""
    drawn = torch.randint(n, (RESAMPLES, n), generator=torch.Generator().manual_seed(seed))
    counts = torch.zeros(RESAMPLES, n, dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones_like(drawn, dtype=torch.float64)
    )
    return torch.cat([torch.ones(1, n, dtype=torch.float64), counts])


def _statistics(cheap: Scores, real: Scores, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """
    Each (1 + RESAMPLES,). With s_ij = sign(x_i - x_j) every statistic is a form in the weights w: pairs of one network
    drawn twice have s = 0 in both scores and count in none; the midranks of a sample are S w / 2 but for a constant.
    """
    x, y = (_signs(scores) for scores in (cheap, real))
    agree, of_x, of_y = ((weights @ matrix * weights).sum(1) for matrix in (x * y, x.abs(), y.abs()))
    return {
        "kendall": agree / (of_x * of_y).sqrt(),
        "spearman": _correlation(weights @ x.T, weights @ y.T, weights),
        "pairwise_accuracy": (agree / of_y + 1) / 2,
    }


def _signs(scores: Scores) -> torch.Tensor:
    values = torch.tensor(list(scores), dtype=torch.float64)
    return (values[:, None] - values[None, :]).sign()


def _correlation(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted Pearson correlation of each row; ranks that come from signs have mean zero already."""

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (weights * a * b).sum(1)

    return product(x, y) / (product(x, x) * product(y, y)).sqrt()


def _estimate(values: torch.Tensor) -> Estimate:
    """`values` (1 + RESAMPLES,): the first is that of the original sample; undefined ones are left out."""
    resampled = values[1:][values[1:].isfinite()]
    if not len(resampled):
        return Estimate(values[0].item(), float("nan"), float("nan"))
    low, high = resampled.quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return Estimate(values[0].item(), low, high)
