"""The AutoTinyBERT space (Yin et al., 2021, section 3.1 and appendix): sizes of a BERT with identical layers."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import stock_refusal
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform


Sizes = dict[str, int]

IN_LAYER = ("intermediate_size", "num_attention_heads", "head_dim")
# Mutation (released code): each variable moves with this probability, by up to so many steps of its grid.
MOVES = {
    "num_hidden_layers": (0.25, 1),
    "hidden_size": (0.5, 1),
    "intermediate_size": (0.5, 2),
    "num_attention_heads": (0.25, 2),
    "head_dim": (0.25, 2),
}


@dataclass(frozen=True)
class AutoTinyBertSpace:
    """
    Depth, width, feed-forward width, heads and their size, each from its own grid. The defaults are the paper's grid
    for pre-training (11.4 million architectures): whole heads of 64. Distillation keeps the teacher's 12 heads and
    narrows each of them: `num_attention_heads=range(12, 13), head_dim=range(15, 65)` (47.5 million).

    With `identical=False` feed-forward width and heads differ from layer to layer (the baseline, as in HAT, Wang et
    al., 2020); the network keeps a single width.
    """

    num_hidden_layers: Sequence[int] = range(1, 9)
    hidden_size: Sequence[int] = range(128, 769, 4)
    intermediate_size: Sequence[int] = range(128, 3073, 4)
    num_attention_heads: Sequence[int] = range(1, 13)
    head_dim: Sequence[int] = range(64, 65)
    identical: bool = True

    def __post_init__(self) -> None:
        for name in MOVES:
            if not self.grid(name) or min(self.grid(name)) < 1 or sorted(set(self.grid(name))) != [*self.grid(name)]:
                raise ValueError(f"{name} is {self.grid(name)!r}: give rising sizes of at least 1.")

    @classmethod
    def within(
        cls,
        largest: AutoBertConfig,
        part_of_heads: bool = False,
        width_step: int = 16,
        inner_step: int = 32,
        identical: bool = True,
        stock: bool = False,
    ) -> "AutoTinyBertSpace":
        """
        The paper's bounds scaled to another largest network: widths from 1/6 and feed-forward widths from 1/24 of the
        largest, in the steps of the released code; whole heads dropped, or (`part_of_heads`, for a teacher whose heads
        are compared one by one) all heads narrowed, down to 15/64. `stock`: only widths that equal heads times size.

        Raises:
            ValueError: if `stock` is set and `largest` is not expressible as a plain BERT.
        """
        if stock and (refusal := stock_refusal(largest)):
            raise ValueError(f"--stock: {refusal} in a plain BERT. Give --norm-position post.")
        layer = largest.per_layer_config[0]
        heads, dim = layer.num_attention_heads, layer.head_dim
        widths: Sequence[int] = _grid(largest.hidden_size, largest.hidden_size / 6, width_step)
        if stock:
            step = heads if part_of_heads else dim
            widths = sorted(range(largest.hidden_size, int(largest.hidden_size / 6) - 1, -step))
        return cls(
            num_hidden_layers=range(1, largest.num_hidden_layers + 1),
            hidden_size=widths,
            intermediate_size=_grid(layer.intermediate_size, layer.intermediate_size / 24, inner_step),
            num_attention_heads=range(heads, heads + 1) if part_of_heads else range(1, heads + 1),
            head_dim=_grid(dim, dim * 15 / 64, 1) if part_of_heads else range(dim, dim + 1),
            identical=identical,
        )

    def grid(self, name: str) -> Sequence[int]:
        return getattr(self, name)

    @property
    def size(self) -> int:
        layer = math.prod(len(self.grid(name)) for name in IN_LAYER)
        of_depth = [layer if self.identical else layer**depth for depth in self.num_hidden_layers]
        return len(self.hidden_size) * sum(of_depth)

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, generated lazily."""
        layers = [dict(zip(IN_LAYER, sizes, strict=True)) for sizes in product(*map(self.grid, IN_LAYER))]
        for depth, hidden_size in product(self.num_hidden_layers, self.hidden_size):
            for chosen in product(layers, repeat=1 if self.identical else depth):
                yield self._build(depth, hidden_size, chosen)

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        """The value at each position: the variable's name, with the layer's number if layers differ."""
        depth, hidden_size, layers = self._read(architecture)
        genes: list[tuple[Hashable, object]] = [("num_hidden_layers", depth), ("hidden_size", hidden_size)]
        for index, layer in enumerate(layers):
            genes += [(name if self.identical else (name, index), size) for name, size in layer.items()]
        return genes

    def sample(self, rng: Random) -> Architecture:
        """Each variable drawn uniformly and independently (section 3.2, released code)."""
        depth, hidden_size = rng.choice(self.num_hidden_layers), rng.choice(self.hidden_size)
        return self._build(depth, hidden_size, [self._layer(rng) for _ in range(1 if self.identical else depth)])

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """Moves some variables up or down their grids (`MOVES`); repeated until something changes."""
        child = architecture
        while child == architecture and self.size > 1:
            depth, hidden_size, layers = self._read(architecture)
            depth = self._move("num_hidden_layers", "num_hidden_layers", depth, rng, draw)
            hidden_size = self._move("hidden_size", "hidden_size", hidden_size, rng, draw)
            moved = [
                {
                    name: self._move(name, name if self.identical else (name, index), size, rng, draw)
                    for name, size in layer.items()
                }
                for index, layer in enumerate(layers)
            ]
            if not self.identical:
                moved = (moved + [self._layer(rng) for _ in range(depth)])[:depth]
            child = self._build(depth, hidden_size, moved)
        return child

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each variable from either parent; a layer that only one parent has comes from that parent."""
        parents = [self._read(one), self._read(other)]
        depth, hidden_size = rng.choice(parents)[0], rng.choice(parents)[1]
        layers = []
        for index in range(1 if self.identical else depth):
            having = [layers[index] for _, _, layers in parents if index < len(layers)]
            layers.append({name: rng.choice(having)[name] for name in IN_LAYER})
        return self._build(depth, hidden_size, layers)

    def contains(self, architecture: Architecture) -> bool:
        settings, layers = dict(architecture.settings), architecture.layer_dicts
        where = [settings] if self.identical else layers
        if len(layers) not in self.num_hidden_layers or settings.get("hidden_size") not in self.hidden_size:
            return False
        if any(sizes.get(name) not in self.grid(name) for sizes in where for name in IN_LAYER):
            return False
        return architecture == self._build(*self._read(architecture))

    def smallest(self) -> Architecture:
        return self._corner(min)

    def largest(self) -> Architecture:
        return self._corner(max)

    def from_config(self, config: AutoBertConfig) -> Architecture:
        layers = [{name: getattr(layer, name) for name in IN_LAYER} for _, layer in config.layers()]
        return self._build(config.num_hidden_layers, config.hidden_size, layers[:1] if self.identical else layers)

    def _corner(self, end: Callable[[Sequence[int]], int]) -> Architecture:
        layer = {name: end(self.grid(name)) for name in IN_LAYER}
        depth = end(self.num_hidden_layers)
        return self._build(depth, end(self.hidden_size), [layer] * (1 if self.identical else depth))

    def _layer(self, rng: Random) -> Sizes:
        return {name: rng.choice(self.grid(name)) for name in IN_LAYER}

    def _move(self, name: str, position: Hashable, size: int, rng: Random, draw: Draw) -> int:
        probability, reach = MOVES[name]
        if rng.random() >= probability:
            return size
        grid = self.grid(name)
        index = grid.index(size)
        moved = draw(position, grid[max(index - reach, 0) : index + reach + 1], rng)
        assert isinstance(moved, int)
        return moved

    def _build(self, depth: int, hidden_size: int, layers: Sequence[Mapping[str, int]]) -> Architecture:
        kind = {"layer_type": "full_attention"}
        if self.identical:
            return Architecture.of([kind] * depth, hidden_size=hidden_size, **layers[0])
        return Architecture.of([kind | dict(layer) for layer in layers], hidden_size=hidden_size)

    def _read(self, architecture: Architecture) -> tuple[int, int, list[Sizes]]:
        settings, layers = dict(architecture.settings), architecture.layer_dicts
        read = [{name: sizes[name] for name in IN_LAYER} for sizes in ([settings] if self.identical else layers)]
        return len(layers), settings["hidden_size"], read


def is_stock(architecture: Architecture) -> bool:
    """Whether a plain BERT can have these sizes (identical layers): the width equals heads times head size."""
    sizes = dict(architecture.settings)
    return sizes["num_attention_heads"] * sizes["head_dim"] == sizes["hidden_size"]


def _grid(largest: int, least: float, step: int) -> range:
    """Ascending, from `least` or slightly above to `largest`, which is always on the grid."""
    steps = int((largest - least) // step)
    return range(largest - steps * step, largest + 1, step)
