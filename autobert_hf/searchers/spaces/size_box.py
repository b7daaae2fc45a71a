"""A box of sizes: networks with identical layers, whose feed-forward width is a multiple of their width."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform


VARIABLES = ("num_hidden_layers", "hidden_size", "ratio", "num_attention_heads")
Values = tuple[Any, ...]  # one of each variable, in their order


@dataclass(frozen=True)
class SizeBox:
    """
    Every combination of the values of `VARIABLES`, each ascending; heads of `head_dim` are kept or dropped as a whole.
    `ratio`: feed-forward width over width.
    """

    num_hidden_layers: Sequence[int]
    hidden_size: Sequence[int]
    ratio: Sequence[float]
    num_attention_heads: Sequence[int]
    head_dim: int = 64

    def choices(self) -> list[Sequence[float]]:
        return [getattr(self, name) for name in VARIABLES]

    def grid(self, name: str) -> Sequence[int]:
        """The ascending values of a size of `AutoBertConfig`."""
        if name == "intermediate_size":
            return sorted({round(ratio * width) for ratio, width in product(self.ratio, self.hidden_size)})
        return [self.head_dim] if name == "head_dim" else getattr(self, name)

    @property
    def size(self) -> int:
        return math.prod(map(len, self.choices()))

    def enumerate(self) -> Iterator[Architecture]:
        return (self.build(values) for values in product(*self.choices()))

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return [*zip(VARIABLES, self.read(architecture), strict=True)]

    def sample(self, rng: Random) -> Architecture:
        """Each variable drawn uniformly and independently."""
        return self.build([rng.choice(values) for values in self.choices()])

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """Changes one variable; a box of one architecture has no mutants."""
        values = [*self.read(architecture)]
        free = [index for index, choices in enumerate(self.choices()) if len(choices) > 1]
        if free:
            index = rng.choice(free)
            others = [value for value in self.choices()[index] if value != values[index]]
            values[index] = draw(VARIABLES[index], others, rng)
        return self.build(values)

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each variable from either parent."""
        return self.build([rng.choice(pair) for pair in zip(self.read(one), self.read(other), strict=True)])

    def contains(self, architecture: Architecture) -> bool:
        values = measured(architecture)
        return values is not None and architecture == self.nearest(values)

    def smallest(self) -> Architecture:
        return self.build([min(values) for values in self.choices()])

    def largest(self) -> Architecture:
        return self.build([max(values) for values in self.choices()])

    def read(self, architecture: Architecture) -> Values:
        """The values of an architecture of this box."""
        values = measured(architecture)
        assert values is not None
        return self._nearest(values)

    def nearest(self, values: Values) -> Architecture:
        """The architecture with the values closest to these."""
        return self.build(self._nearest(values))

    def distance(self, values: Values) -> float:
        """How far these values lie outside, as the sum of their distances from the nearest ones, relative to those."""
        return sum(abs(a - b) / b for a, b in zip(values, self._nearest(values), strict=True))

    def _nearest(self, values: Values) -> Values:
        pairs = zip(values, self.choices(), strict=True)
        return tuple(min(choices, key=lambda one, value=value: abs(one - value)) for value, choices in pairs)  # type: ignore[misc]

    def build(self, values: Sequence[Any]) -> Architecture:
        depth, hidden_size, ratio, heads = values
        sizes = {"intermediate_size": round(ratio * hidden_size), "num_attention_heads": heads}
        kind = {"layer_type": "full_attention"}
        return Architecture.of([kind] * depth, hidden_size=hidden_size, head_dim=self.head_dim, **sizes)


def measured(architecture: Architecture) -> Values | None:
    """The values of `VARIABLES`, as real numbers; None for an architecture that has none, such as convolutions."""
    sizes = dict(architecture.settings)
    if not architecture.layers or not {"hidden_size", "intermediate_size", "num_attention_heads"} <= sizes.keys():
        return None
    ratio = sizes["intermediate_size"] / sizes["hidden_size"]
    return len(architecture.layers), sizes["hidden_size"], ratio, sizes["num_attention_heads"]
