"""
How the files of a supernet are laid out, so that a small network is read, or downloaded, without the rest.

*Levels* are boxes of sizes, each inside the next: the smallest network, the points of the front, the whole. There is
one safetensors file for each layer and level, and for what stands outside of the layers (`LAYER` is `outer`):

    supernet-LAYER-LEVEL.safetensors

A weight is seen as a matrix whose rows and columns are sorted by the first level that needs them, so that each level
needs the leading rows and columns. (Only narrowed heads make this differ from the order in the network.) The file of
a level holds what the level adds to those before it: `NAME:right`, the new columns of the old rows, and `NAME:below`,
the new rows in full. Each is flat: strips of `STRIP` columns one after the other, each stored row by row, so that the
leading rows of the leading columns are a few contiguous pieces.

So a network needs, of each of its layers, the files up to the first level that contains it. From a folder, only its
own rows and strips are read. From the Hub, those files are downloaded whole: nothing beyond a point of the front where
the sizes of the front rise together, and up to the next level in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .configuration_autobert import AutoBertConfig
from .slicing import Axes, Cut, LayerCut, weight_axes
from .supernet_space import SuperNetSpace


STRIP = 16
MOST_LEVELS = 8
OUTER = "outer"


@dataclass(frozen=True)
class Block:
    """`rows` x `columns` of a weight, from (`row`, `column`) on, as one tensor of a file."""

    key: str
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Layout:
    """The levels of a supernet, as cuts of the whole network in full depth, each inside the next."""

    whole: Cut
    levels: tuple[Cut, ...]
    narrow_first: bool  # whether heads are narrowed rather than dropped

    @classmethod
    def of(cls, space: SuperNetSpace, config: AutoBertConfig) -> "Layout":
        whole = Cut.of(config)
        wanted = [space.corner(0), *(point["sizes"] for point in space.front)]
        cuts = sorted((space.cut(sizes, config) for sizes in wanted), key=_volume)
        levels: list[Cut] = []
        for cut in cuts:
            level = _joined(whole, cut, levels[-1] if levels else None)
            if level != whole and level not in levels:
                levels.append(level)
        kept = (
            [levels[i * len(levels) // MOST_LEVELS] for i in range(MOST_LEVELS)]
            if len(levels) > MOST_LEVELS
            else levels
        )
        low, high, _ = space.box["head_dim"]
        return cls(whole, (*kept, whole), low != high)

    def file_name(self, layer: int | None, level: int) -> str:
        place = OUTER if layer is None else f"{layer:03d}"
        return f"supernet-{place}-{level}.safetensors"

    def levels_for(self, small: Cut, layer: int | None) -> int:
        """How many levels the layer of a network needs."""
        for number, level in enumerate(self.levels, start=1):
            if small.hidden_size > level.hidden_size or small.embedding_size > level.embedding_size:
                continue
            if layer is None or _fits(next(one for one in small.layers if one.source == layer), level.layers[layer]):
                return number
        raise AssertionError("the last level is the whole network")

    def needed(self, counted: str | None, length: int, cut: Cut, layer: int | None) -> list[int]:
        """The rows (columns) of an axis that a cut needs, in its own order, as numbers of the sorted matrix."""
        wanted = _indices(counted, length, self.whole, cut, layer)
        if counted != "heads":
            return wanted
        place = {index: number for number, index in enumerate(self.order(counted, length, layer))}
        return [place[index] for index in wanted]

    def order(self, counted: str | None, length: int, layer: int | None) -> list[int]:
        """The numbers of the rows (columns) of the network in the order of the sorted matrix."""
        if counted != "heads":
            return list(range(length))
        assert layer is not None
        size = self.whole.layers[layer].head_dim
        found: dict[int, None] = {}
        for level in self.levels:
            rows = _indices(counted, length, self.whole, level, layer)
            if self.narrow_first:
                rows.sort(key=lambda index: (index % size, index // size))
            found |= dict.fromkeys(rows)
        return list(found)

    def blocks(self, name: str, shape: Sequence[int], level: int) -> Iterator[Block]:
        """What the file of a level holds of a weight of this shape in the whole network."""
        layer, axes = weight_axes(name)
        (above, left), (rows, columns) = [self._extent(axes, shape, layer, number) for number in (level - 1, level)]
        if above and columns > left:
            yield Block(f"{name}:right", 0, left, above, columns - left)
        if rows > above:
            yield Block(f"{name}:below", above, 0, rows - above, columns)

    def _extent(self, axes: Axes, shape: Sequence[int], layer: int | None, level: int) -> tuple[int, int]:
        if level < 0:
            return 0, 0
        rows, columns = matrix(shape)
        cut, column_axis = self.levels[level], axes[1] if len(shape) > 1 else None
        return (
            len(_indices(axes[0], rows, self.whole, cut, layer)),
            len(_indices(column_axis, columns, self.whole, cut, layer)),
        )


def matrix(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a weight; a vector is one column."""
    rows, *columns = shape
    return rows, columns[0] if columns else 1


def _indices(counted: str | None, length: int, whole: Cut, cut: Cut, layer: int | None) -> list[int]:
    if counted is None:
        return list(range(length))
    if counted in ("hidden_size", "embedding_size"):
        return list(range(getattr(cut, counted)))
    assert layer is not None
    small = next(one for one in cut.layers if one.source == layer)
    if counted == "intermediate_size":
        return list(range(small.intermediate_size))
    size = whole.layers[layer].head_dim
    return [head * size + row for head in range(small.num_attention_heads) for row in range(small.head_dim)]


def _volume(cut: Cut) -> int:
    return sum(
        cut.hidden_size * (layer.num_attention_heads * layer.head_dim + layer.intermediate_size)
        for layer in cut.layers
    )


def _fits(small: LayerCut, large: LayerCut) -> bool:
    return all(size <= large.sizes[name] for name, size in small.sizes.items())


def _joined(whole: Cut, cut: Cut, before: Cut | None) -> Cut:
    """The least box in full depth that holds a cut and the level before it; all its layers are alike."""
    cuts = [cut] if before is None else [cut, before]
    most = {name: max(layer.sizes[name] for one in cuts for layer in one.layers) for name in cut.layers[0].sizes}
    layers = [LayerCut(one.source, **{n: min(size, one.sizes[n]) for n, size in most.items()}) for one in whole.layers]
    hidden, embedding = max(one.hidden_size for one in cuts), max(one.embedding_size for one in cuts)
    return Cut(hidden, embedding, tuple(layers))
