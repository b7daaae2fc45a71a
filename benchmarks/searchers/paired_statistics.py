"""What n pairs say about two methods, with 95 percent bootstrap intervals over the pairs."""

from collections.abc import Sequence

import numpy as np


RESAMPLES = 4000


def paired(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """
    `difference` is the mean of one - other, `d` the same in units of the pooled standard deviation of the two (Cohen),
    `d_paired` in units of the standard deviation of the differences; `ahead` is the share of pairs in which `one` is
    larger, ties counted half.
    """
    pairs = np.column_stack([one, other])
    drawn = np.random.default_rng(0).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    estimates = _statistics(pairs[None])
    resampled = _statistics(pairs[drawn])
    summary: dict[str, float] = {"n": len(pairs)}
    for name, (value,) in estimates.items():
        low, high = np.nanquantile(resampled[name], (0.025, 0.975))
        summary |= {name: round(value, 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return summary


def _statistics(pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Each (samples,), from pairs (samples, n, 2)."""
    difference = pairs[..., 0] - pairs[..., 1]
    mean = difference.mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal pairs have no spread to measure by
        d = mean / np.sqrt(pairs.var(1, ddof=1).mean(1))
        d_paired = mean / difference.std(1, ddof=1)
    ahead = (np.sign(difference).mean(1) + 1) / 2
    return {"difference": mean, "d": d, "d_paired": d_paired, "ahead": ahead}
