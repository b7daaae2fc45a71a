"""The AutoDistil space (Xu et al., 2022, section 3.1): K boxes of sizes, each of which has a supernet of its own."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from random import Random

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform
from autobert_hf.searchers.spaces.size_box import SizeBox, measured


# For a teacher like BERT-base: 12 layers, width 768, 12 heads. Three boxes of 256 architectures, as published.
TINY = SizeBox(range(4, 8), range(128, 225, 32), (2.0, 2.5, 3.0, 3.5), range(7, 11))
SMALL = SizeBox(range(9, 13), range(256, 353, 32), (2.5, 3.0, 3.5, 4.0), range(7, 11))
BASE = SizeBox(range(9, 13), range(544, 641, 32), (2.5, 3.0, 3.5, 4.0), range(9, 13))
# One box and two boxes as in the released configurations: 11,232 architectures, and 384 in each.
PUBLISHED = {
    1: (SizeBox(range(1, 7), range(64, 769, 64), tuple(1 + step / 4 for step in range(13)), range(1, 13)),),
    2: tuple(replace(box, num_hidden_layers=range(7, 13)) for box in (TINY, BASE)),
    3: (TINY, SMALL, BASE),
}
MOST_BOXES = 12


class OutsideError(ValueError):
    """The architecture is in no box."""


@dataclass(frozen=True)
class AutoDistilSpace:
    """Boxes in ascending order; no architecture is in two of them."""

    boxes: Sequence[SizeBox] = PUBLISHED[3]

    @classmethod
    def of(cls, number: int, largest: AutoBertConfig) -> "AutoDistilSpace":
        """So many boxes (K), in proportion to the teacher (or else the largest network)."""
        return cls([scaled(box, largest) for box in boxes_for_base(number)])

    def box_of(self, architecture: Architecture) -> SizeBox:
        """
        The box that holds the architecture.

        Raises:
            OutsideError: if there is none; the message names the nearest architecture that has one.
        """
        for box in self.boxes:
            if box.contains(architecture):
                return box
        values = measured(architecture)
        if values is None:
            raise OutsideError("The architecture has no layers with sizes: only networks of attention layers do.")
        near = min(self.boxes, key=lambda box: box.distance(values)).nearest(values)
        raise OutsideError(
            f"The network of {named(architecture)} is in none of the {len(self.boxes)} boxes of this space; the "
            f"nearest inside has {named(near)}."
        )

    @property
    def size(self) -> int:
        return sum(box.size for box in self.boxes)

    def enumerate(self) -> Iterator[Architecture]:
        return (architecture for box in self.boxes for architecture in box.enumerate())

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return self.box_of(architecture).genes(architecture)

    def sample(self, rng: Random) -> Architecture:
        """Uniform over all architectures."""
        return rng.choices(self.boxes, [box.size for box in self.boxes])[0].sample(rng)

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """Changes one variable within the box."""
        return self.box_of(architecture).mutate(architecture, rng, draw)

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """In the box of either parent: each variable from either, where that box has (nearly) the same value."""
        box = self.box_of(rng.choice((one, other)))
        first, second = (box.nearest(self.box_of(parent).read(parent)) for parent in (one, other))
        return box.crossover(first, second, rng)

    def contains(self, architecture: Architecture) -> bool:
        return any(box.contains(architecture) for box in self.boxes)

    def smallest(self) -> Architecture:
        return self.boxes[0].smallest()

    def largest(self) -> Architecture:
        return self.boxes[-1].largest()


def boxes_for_base(number: int) -> Sequence[SizeBox]:
    """
    K boxes for a teacher like BERT-base. One to three are those of the paper and its code. More, of which not all are
    known, follow a rule of ours: the 17 widths from 128 to 640 in steps of 32 are split into K runs, the longer ones
    first; every box has the 12 // K greatest depths, as the released ones do, and the heads and ratios of the
    published box that its largest width is closest to.

    Raises:
        ValueError: for fewer than one or more than 12 boxes.
    """
    if not 1 <= number <= MOST_BOXES:
        raise ValueError(f"boxes is {number}: give 1 to {MOST_BOXES}.")
    if number in PUBLISHED:
        return PUBLISHED[number]
    widths = range(min(TINY.hidden_size), max(BASE.hidden_size) + 1, 32)
    ends = [ceil(index * len(widths) / number) for index in range(number + 1)]
    depths = range(13 - 12 // number, 13)
    runs = [widths[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    return [replace(_closest(run[-1]), num_hidden_layers=depths, hidden_size=run) for run in runs]


def _closest(width: int) -> SizeBox:
    return min(PUBLISHED[3], key=lambda box: abs(max(box.hidden_size) - width))


def scaled(box: SizeBox, teacher: AutoBertConfig) -> SizeBox:
    """
    The box in proportion to the teacher: widths times its width over 768, ratios times its ratio over 4; as many
    consecutive depths (heads), if it has as many, up to the box's most times the teacher's number over 12, rounded up;
    heads of the teacher's size.
    """
    layer = teacher.per_layer_config[0]
    widths = sorted({round(width * teacher.hidden_size / 768) for width in box.hidden_size})
    depths = _up_to(box.num_hidden_layers, teacher.num_hidden_layers)
    heads = _up_to(box.num_attention_heads, layer.num_attention_heads)
    ratios = tuple(ratio * layer.intermediate_size / (4 * teacher.hidden_size) for ratio in box.ratio)
    return SizeBox(depths, widths, ratios, heads, layer.head_dim)


def _up_to(values: Sequence[int], whole: int) -> range:
    most = ceil(max(values) * whole / 12)
    return range(max(most - len(values), 0) + 1, most + 1)


def named(architecture: Architecture) -> str:
    """The sizes in words: "11 layers, width 352, feed-forward width 1408 and 10 heads"."""
    sizes = dict(architecture.settings)
    layers, inner = len(architecture.layers), sizes.get("intermediate_size")
    heads = f"{sizes.get('num_attention_heads')} heads of {sizes.get('head_dim')}"
    return f"{layers} layers, width {sizes.get('hidden_size')}, feed-forward width {inner} and {heads}"
