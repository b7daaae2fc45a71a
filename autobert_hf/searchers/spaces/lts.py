"""The LiteTransformerSearch space (Javaheripi et al., 2022, section 4, released code): layers of different sizes."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TypeVar

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform


T = TypeVar("T")
Layer = tuple[int, int]  # feed-forward width, heads

LEAST_RATIO = 1.7  # of feed-forward width to width
REDRAWN = 0.3  # probability with which a mutation draws a gene again
FIRST = 0.5  # probability with which a child takes a gene from the first parent


@dataclass(frozen=True)
class LtsSpace:
    """
    Depth and width of the network, feed-forward width and heads of each layer, from their grids; heads share the width
    out, and no feed-forward width is below `LEAST_RATIO` times the width. The defaults are the released ones for
    GPT-2.

    Raises:
        ValueError: for a grid that does not rise, a width that cannot be shared out to a number of heads, or one for
            which no feed-forward width is large enough.
    """

    num_hidden_layers: Sequence[int] = range(2, 16)
    hidden_size: Sequence[int] = range(128, 961, 64)
    intermediate_size: Sequence[int] = range(128, 4033, 64)
    num_attention_heads: Sequence[int] = (2, 4, 8)

    def __post_init__(self) -> None:
        for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads"):
            grid = getattr(self, name)
            if not grid or min(grid) < 1 or sorted(set(grid)) != [*grid]:
                raise ValueError(f"{name} is {grid!r}: give rising sizes of at least 1.")
        for width in self.hidden_size:
            self._check_width(width)

    def _check_width(self, width: int) -> None:
        widest = max(self.intermediate_size)
        if not self.legal(width):
            raise ValueError(
                f"hidden_size {width} has no legal intermediate_size: it takes at least {LEAST_RATIO} times the width "
                f"({LEAST_RATIO * width:g}), and the largest is {widest}. Give a larger intermediate_size, or leave "
                "this hidden_size out."
            )
        for heads in self.num_attention_heads:
            if width % heads:
                raise ValueError(
                    f"hidden_size {width} cannot be shared out to {heads} heads: give multiples of "
                    f"{math.lcm(*self.num_attention_heads)}, or other num_attention_heads."
                )

    def legal(self, width: int) -> list[int]:
        """The feed-forward widths that a network of this width may have."""
        return [inner for inner in self.intermediate_size if inner >= LEAST_RATIO * width]

    @property
    def standard_width(self) -> int:
        """The width in the middle of the range, of those of which four times is a feed-forward width, if there are."""
        fitting = [width for width in self.hidden_size if 4 * width in self.legal(width)] or self.hidden_size
        middle = (min(self.hidden_size) + max(self.hidden_size)) / 2
        return min(fitting, key=lambda width: abs(width - middle))

    @property
    def size(self) -> int:
        layers = [len(self.legal(width)) * len(self.num_attention_heads) for width in self.hidden_size]
        return sum(layer**depth for layer in layers for depth in self.num_hidden_layers)

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, generated lazily."""
        for depth, width in product(self.num_hidden_layers, self.hidden_size):
            layers = [*product(self.legal(width), self.num_attention_heads)]
            yield from (self.build(width, chosen) for chosen in product(layers, repeat=depth))

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        width, layers = self._read(architecture)
        genes: list[tuple[Hashable, object]] = [("num_hidden_layers", len(layers)), ("hidden_size", width)]
        for index, (inner, heads) in enumerate(layers):
            genes += [(("intermediate_size", index), inner), (("num_attention_heads", index), heads)]
        return genes

    def sample(self, rng: Random) -> Architecture:
        """Every gene uniform over its legal values."""
        depth, width = rng.choice(self.num_hidden_layers), rng.choice(self.hidden_size)
        return self.build(width, [self._layer(width, rng) for _ in range(depth)])

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """
        Draws every gene again with probability `REDRAWN`, the width before the feed-forward widths, whose legal range
        depends on it; those that a wider network cannot have are drawn again too. Repeated until something changes.
        """
        child = architecture
        while child == architecture and self.size > 1:
            width, layers = self._read(architecture)
            depth = self._redrawn("num_hidden_layers", len(layers), self.num_hidden_layers, rng, draw)
            width = self._redrawn("hidden_size", width, self.hidden_size, rng, draw)
            legal = self.legal(width)
            changed = []
            for index, (inner, heads) in enumerate(layers[:depth]):
                inner = self._redrawn(("intermediate_size", index), inner, legal, rng, draw)
                heads = self._redrawn(("num_attention_heads", index), heads, self.num_attention_heads, rng, draw)
                changed.append((inner, heads))
            changed += [self._layer(width, rng) for _ in range(depth - len(changed))]
            child = self.build(width, changed)
        return child

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """
        Each gene from the first parent with probability `FIRST`, else from the other; a layer that only one parent has
        from that parent. A feed-forward width that is too small for the child's width is the other parent's, or drawn
        again if that is too small as well.
        """
        parents = [self._read(one), self._read(other)]
        depth, width = len(_either(parents, rng)[1]), _either(parents, rng)[0]
        legal, layers = self.legal(width), []
        for index in range(depth):
            having = [found[index] for _, found in parents if index < len(found)]
            inner, heads = _either(having, rng)[0], _either(having, rng)[1]
            if inner not in legal:
                others = [size for size, _ in having if size in legal]
                inner = others[0] if others else rng.choice(legal)
            layers.append((inner, heads))
        return self.build(width, layers)

    def contains(self, architecture: Architecture) -> bool:
        settings, layers = dict(architecture.settings), architecture.layer_dicts
        width: int = settings.get("hidden_size", 0)
        if len(layers) not in self.num_hidden_layers or width not in self.hidden_size:
            return False
        legal = self.legal(width)
        if any(layer.get("num_attention_heads") not in self.num_attention_heads for layer in layers):
            return False
        if any(layer.get("intermediate_size") not in legal for layer in layers):
            return False
        return architecture == self.build(*self._read(architecture))

    def smallest(self) -> Architecture:
        width = min(self.hidden_size)
        layer = (min(self.legal(width)), min(self.num_attention_heads))
        return self.build(width, [layer] * min(self.num_hidden_layers))

    def largest(self) -> Architecture:
        layer = (max(self.intermediate_size), max(self.num_attention_heads))
        return self.build(max(self.hidden_size), [layer] * max(self.num_hidden_layers))

    def build(self, width: int, layers: Sequence[Layer]) -> Architecture:
        """The architecture of this width with (feed-forward width, heads) of each layer."""
        return Architecture.of([_layer(width, inner, heads) for inner, heads in layers], hidden_size=width)

    def _read(self, architecture: Architecture) -> tuple[int, list[Layer]]:
        layers = architecture.layer_dicts
        sizes = [(layer["intermediate_size"], layer["num_attention_heads"]) for layer in layers]
        return dict(architecture.settings)["hidden_size"], sizes

    def _layer(self, width: int, rng: Random) -> Layer:
        return rng.choice(self.legal(width)), rng.choice(self.num_attention_heads)

    def _redrawn(self, position: Hashable, value: int, choices: Sequence[int], rng: Random, draw: Draw) -> int:
        if value in choices and rng.random() >= REDRAWN:
            return value
        drawn = draw(position, choices, rng)
        assert isinstance(drawn, int)
        return drawn


def _layer(width: int, inner: int, heads: int) -> Mapping[str, int | str]:
    sizes = {"intermediate_size": inner, "num_attention_heads": heads, "head_dim": width // heads}
    return {"layer_type": "full_attention", **sizes}


def _either(parents: Sequence[T], rng: Random) -> T:
    return parents[0] if len(parents) == 1 or rng.random() < FIRST else parents[1]


# The ranges of `--space`: for a decoder or an encoder in minutes on a laptop, and the published one.
RANGES: Mapping[str, LtsSpace] = {
    "laptop": LtsSpace(range(1, 9), range(64, 257, 16), range(128, 1025, 32)),
    "gpt2": LtsSpace(),
    "encoder": LtsSpace(range(1, 13), range(128, 513, 32), range(256, 2049, 64)),
}
