"""Chains of sub-layers, each one operation of a set: the space of MAGIC (Xu et al., 2022) and of NAS-BERT."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from random import Random
from typing import Any

from autobert_hf.modeling.arithmetic import count_encoder_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture, Items, freeze
from autobert_hf.searchers.spaces.formulas import Draw, uniform


Operation = Mapping[str, Any]  # a layer's `layer_type` and per-layer values


def attention(heads: int, head_dim: int) -> Operation:
    return _layer("full_attention", "feed_forward", num_attention_heads=heads, head_dim=head_dim)


def feed_forward(inner: int) -> Operation:
    return _layer("full_attention", "mixer", intermediate_size=inner)


def convolution(kernel: int) -> Operation:
    """A separable convolution: depthwise with `kernel` taps, then pointwise."""
    return _layer("conv", "feed_forward", conv_type="separable", conv_kernel_size=kernel)


def identity() -> Operation:
    return _layer("full_attention", "mixer", "feed_forward")


def _layer(kind: str, *skip: str, **values: Any) -> Operation:
    return {"layer_type": kind, "skip": skip} | values


def main_operations(hidden_size: int, heads: int = 12) -> dict[str, Operation]:
    """
    MAGIC's main set at one size: attention, feed-forward network and convolutions with 3 and 5 taps. A separable
    convolution has about d^2 parameters, so attention (4 d d_a) is d / 4 wide, the feed-forward network (2 d f) d / 2.

    Raises:
        ValueError: if the heads do not share out the width of attention.
    """
    return {
        f"MHA{heads}": attention(heads, _head_dim(hidden_size, heads)),
        "FFN": feed_forward(hidden_size // 2),
        "CONV3": convolution(3),
        "CONV5": convolution(5),
    }


def analysis_operations(hidden_size: int) -> dict[str, Operation]:
    """
    The set of MAGIC's study of interference, of equal parameters within 5 % but for FFN', which is twice as wide: the
    paper only says that it is larger.

    Raises:
        ValueError: if 6 and 8 heads do not share out the width of attention.
    """
    return {
        "MHA6": attention(6, _head_dim(hidden_size, 6)),
        "MHA8": attention(8, _head_dim(hidden_size, 8)),
        "FFN": feed_forward(hidden_size // 2),
        "FFN'": feed_forward(hidden_size),
        "CONV3": convolution(3),
        "CONV5": convolution(5),
    }


def _head_dim(hidden_size: int, heads: int) -> int:
    if hidden_size % (4 * heads):
        raise ValueError(
            f"hidden_size {hidden_size} cannot be shared out to {heads} heads: attention is a quarter as wide as the "
            f"network, to have as many parameters as a convolution. Give a multiple of {4 * heads}."
        )
    return hidden_size // 4 // heads


@dataclass(frozen=True)
class ChainSpace:
    """
    `length` sub-layers of a network `hidden_size` wide, each one of `operations` by name: C^N architectures. In a
    configuration a sub-layer is a layer that skips its mixer or its feed-forward network (both, for the identity).

    Raises:
        ValueError: for no sub-layer, or fewer than two operations.
    """

    operations: Mapping[str, Operation]
    length: int
    hidden_size: int

    def __post_init__(self) -> None:
        if len(self.operations) < 2:
            raise ValueError(
                f"The set of operations has {len(self.operations)}: there is nothing to search. Give at least two."
            )
        if self.length < 1:
            raise ValueError(f"The chain has {self.length} sub-layers: give at least 1.")
        frozen = [*map(freeze, self.operations.values())]
        if len(set(frozen)) < len(frozen):
            raise ValueError("Two of the operations are the same under two names: give each once.")

    @property
    def size(self) -> int:
        return len(self.operations) ** self.length

    def of(self, *names: str) -> Architecture:
        """The chain of these operations."""
        return Architecture.of([self.operations[name] for name in names])

    def names(self, architecture: Architecture) -> list[str]:
        """The operation of each sub-layer."""
        by_layer = self._by_layer
        return [by_layer[layer] for layer in architecture.layers]

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, generated lazily; the last sub-layer changes fastest."""
        for names in product(self.operations, repeat=self.length):
            yield self.of(*names)

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return [*enumerate(self.names(architecture))]

    def sample(self, rng: Random) -> Architecture:
        return self.of(*rng.choices([*self.operations], k=self.length))

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """Another operation in one sub-layer."""
        index = rng.randrange(self.length)
        others = [name for name in self.operations if name != self.names(architecture)[index]]
        return architecture.replace(index, self.operations[str(draw(index, others, rng))])

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each sub-layer from either parent."""
        return Architecture(tuple(rng.choice(pair) for pair in zip(one.layers, other.layers, strict=True)))

    def contains(self, architecture: Architecture) -> bool:
        known = self._by_layer
        fits = len(architecture.layers) == self.length and not architecture.settings
        return fits and all(layer in known for layer in architecture.layers)

    def smallest(self) -> Architecture:
        return self.of(*self._by_size[:1] * self.length)

    def largest(self) -> Architecture:
        return self.of(*self._by_size[-1:] * self.length)

    @cached_property
    def _by_layer(self) -> dict[Items, str]:
        return {freeze(layer): name for name, layer in self.operations.items()}

    @cached_property
    def _by_size(self) -> list[str]:
        """The operations by their parameters."""
        base = AutoBertConfig(hidden_size=self.hidden_size, num_attention_heads=1)
        configs = {name: Architecture.of([layer]).to_config(base) for name, layer in self.operations.items()}
        return sorted(configs, key=lambda name: count_encoder_parameters(configs[name]))
