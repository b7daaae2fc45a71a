"""Summary of a space before any training: sizes of its networks, and the share that is within the limits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.space import Space


SAMPLES = 200


class LimitError(ValueError):
    """No network of the space is within the limits."""


@dataclass(frozen=True)
class SpaceSummary:
    """`sizes`: (smallest, median, largest) of `samples` random networks; `share`: fraction within the limits."""

    samples: int
    sizes: Mapping[str, tuple[float, float, float]]
    share: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SpaceSummary":
        return cls(**data)

    def __str__(self) -> str:
        sizes = "; ".join(
            f"{name} {' / '.join(f'{value / 1e6:,.3f} M' for value in values)}" for name, values in self.sizes.items()
        )
        return (
            f"The space, from {self.samples} random networks (smallest / median / largest): {sizes}. "
            f"{self.share:.0%} of them keep within --max-params and --max-flops."
        )


def space_summary(
    space: Space,
    known: Callable[[Architecture], Mapping[str, float]],
    limits: Limits,
    seed: int,
    samples: int = SAMPLES,
) -> SpaceSummary:
    """
    Summarizes the `known` scores of `samples` networks: the smallest, the largest and random ones.

    Raises:
        LimitError: if none of them is within the limits.
    """
    rng = Random(derive(seed, "profile"))
    drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(samples - 2))]
    scores = [known(architecture) for architecture in drawn]
    within = sum(limits.broken_by(score) is None for score in scores)
    columns = {name: [score[name] for score in scores] for name in scores[0]}
    if not within:
        smallest = ", ".join(
            f"{min(columns[name]):,.0f} {name} (limit {most:,.0f})" for name, most in limits.most.items()
        )
        raise LimitError(
            f"None of {samples} networks of the space keeps within the limits; the smallest of them have {smallest}. "
            "Raise the limit, or give fewer or narrower layers or a smaller vocabulary."
        )
    sizes = {name: (min(values), median(values), max(values)) for name, values in columns.items()}
    return SpaceSummary(samples, sizes, within / samples)
