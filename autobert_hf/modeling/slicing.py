"""
A small network on the weights of a large one (AutoTinyBERT, Yin et al., 2021, section 3): it uses the
leading rows and columns of every matrix, the same part of each of the first heads, and some of the layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from .configuration_autobert import AutoBertConfig
from .variants import read_layers, write_layers


Axes = tuple[str | None, ...]


class SlicingError(ValueError):
    """The network cannot be cut, or the cut is larger than the network."""


@dataclass(frozen=True)
class LayerCut:
    """Layer `source` of the large network, with the first `head_dim` rows of its first heads (both head rules)."""

    source: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int

    @property
    def sizes(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if name != "source"}


@dataclass(frozen=True)
class Cut:
    """What a small network keeps of a large one; cheap to make and to compare, unlike a configuration."""

    hidden_size: int
    embedding_size: int
    layers: tuple[LayerCut, ...]

    @classmethod
    def of(cls, config: AutoBertConfig, sources: Sequence[int] | None = None) -> "Cut":
        """
        The cut that gives a network of this configuration, whose layers are the layers `sources` of the large one
        (without: its first ones). Raises SlicingError for layers that cannot be sliced: convolutions, narrow layers.
        """
        for index, (kind, layer) in enumerate(config.layers()):
            if kind != "full_attention" or layer.layer_width != config.hidden_size:
                raise SlicingError(
                    f"Layer {index} is {kind!r} of width {layer.layer_width} in a network of {config.hidden_size}: "
                    "only attention layers as wide as the network can be sliced."
                )
        taken = range(config.num_hidden_layers) if sources is None else sources
        layers = [
            LayerCut(source, layer.num_attention_heads, layer.head_dim, layer.intermediate_size)
            for source, (_, layer) in zip(taken, config.layers(), strict=True)
        ]
        return cls(config.hidden_size, config.embedding_size, tuple(layers))

    def to_config(self, large: AutoBertConfig) -> AutoBertConfig:
        """The small network's configuration: everything but layers and sizes is the large one's; it is no supernet."""
        kept = read_layers(large)
        common: dict[str, Any] = {"hidden_size": self.hidden_size, "embedding_size": self.embedding_size}
        if len({tuple(layer.sizes.items()) for layer in self.layers}) == 1:
            common |= self.layers[0].sizes
        layers = [(kind, values | layer.sizes) for layer in self.layers for kind, values in [kept[layer.source]]]
        return write_layers(large, layers, supernet=None, **common)

    def check(self, large: "Cut") -> None:
        """Raises SlicingError, with the first size that does not fit, unless this is a part of `large`."""
        pairs = [("hidden_size", self.hidden_size, large.hidden_size)]
        pairs += [("embedding_size", self.embedding_size, large.embedding_size)]
        sources = [layer.source for layer in self.layers]
        if sources != sorted(set(sources)) or not 0 <= sources[0] <= sources[-1] < len(large.layers):
            raise SlicingError(f"{sources} are not ascending numbers of the {len(large.layers)} layers (from 0).")
        for layer in self.layers:
            whole = large.layers[layer.source].sizes
            pairs += [(f"layer {layer.source}: {name}", layer.sizes[name], whole[name]) for name in whole]
        for name, size, limit in pairs:
            if size > limit:
                raise SlicingError(f"{name} is {size}, but the large network has only {limit}.")
        if (self.hidden_size == self.embedding_size) != (large.hidden_size == large.embedding_size):
            raise SlicingError("A map from the embeddings to the first layer stands in one of the networks only.")


# What the axes of a weight count; None is never cut. A bias has the first axis of its weight.
LAYER_AXES: dict[str, Axes] = {
    "mixer.query": ("heads", "hidden_size"),
    "mixer.key": ("heads", "hidden_size"),
    "mixer.value": ("heads", "hidden_size"),
    "mixer.extra": ("heads", "hidden_size"),
    "mixer.output.dense": ("hidden_size", "heads"),
    "mixer_norm": ("hidden_size",),
    "feed_forward.intermediate": ("intermediate_size", "hidden_size"),
    "feed_forward.gate": ("intermediate_size", "hidden_size"),
    "feed_forward.output.dense": ("hidden_size", "intermediate_size"),
    "feed_forward_norm": ("hidden_size",),
}
OUTER_AXES: dict[str, Axes] = {
    "embeddings.word_embeddings": (None, "embedding_size"),
    "embeddings.position_embeddings": (None, "embedding_size"),
    "embeddings.token_type_embeddings": (None, "embedding_size"),
    "embeddings.norm": ("embedding_size",),
    "embeddings": (None, None),  # position_ids, the one buffer
    "resize": ("hidden_size", "embedding_size"),
    "encoder.norm": ("hidden_size",),
    "pooler.dense": ("hidden_size", "hidden_size"),
    "predictions.dense": ("embedding_size", "hidden_size"),
    "predictions.norm": ("embedding_size",),
    "predictions.decoder": (None, "embedding_size"),
    "seq_relationship": (None, "hidden_size"),
    "dense": ("hidden_size", "hidden_size"),
    "classifier": (None, "hidden_size"),
    "qa_outputs": (None, "hidden_size"),
}


def slice_state(state: Mapping[str, Tensor], large: Cut, small: Cut) -> dict[str, Tensor]:
    """
    The weights of the network `small`, by their names there, out of those of `large` (of any AutoBert model, buffers
    may be among them). They are views, and copies where narrowed heads leave rows that do not lie together; autograd
    leads back from both. A tensor that stands under two names is cut once and stays one.

    Raises:
        SlicingError: if `small` is not a part of `large`.
    """
    small.check(large)
    cut: dict[int, Tensor] = {}
    found = {}
    for source, name, axes, index in _plan(tuple(state), tuple(layer.source for layer in small.layers)):
        tensor = state[source]
        if index is not None:
            found[name] = _slice(tensor, axes, large, small, small.layers[index])
        else:
            if id(tensor) not in cut:
                cut[id(tensor)] = _slice(tensor, axes, large, small)
            found[name] = cut[id(tensor)]
    return found


def weight_axes(name: str) -> tuple[int | None, Axes]:
    """The number of the layer that a weight belongs to, None outside of the layers, and what its axes count."""
    _, inside, rest = name.partition("encoder.layers.")
    source, _, rest = rest.partition(".")
    if not inside or rest.startswith("resize."):  # the map from the embeddings, whichever layer is the first
        return None, OUTER_AXES[(rest or name.removeprefix("autobert.")).rpartition(".")[0]]
    return int(source), LAYER_AXES[rest.rpartition(".")[0]]


@lru_cache
def _plan(names: tuple[str, ...], sources: tuple[int, ...]) -> list[tuple[str, str, Axes, int | None]]:
    """For each weight that is taken: its name there and here, what its axes count, and its layer here, if any."""
    position: dict[int | None, int] = {source: index for index, source in enumerate(sources)}
    plan: list[tuple[str, str, Axes, int | None]] = []
    for name in names:
        source, axes = weight_axes(name)
        if source is None:
            plan.append((name, name, axes, None))
        elif source in position:
            index = position[source]
            plan.append((name, name.replace(f"encoder.layers.{source}.", f"encoder.layers.{index}."), axes, index))
    return plan


def _slice(tensor: Tensor, axes: Axes, large: Cut, small: Cut, layer: LayerCut | None = None) -> Tensor:
    for axis, counted in enumerate(axes[: tensor.ndim]):
        if counted == "heads":
            assert layer is not None
            tensor = _slice_heads(tensor, axis, large.layers[layer.source], layer)
        elif counted is not None:
            tensor = _first(tensor, axis, getattr(layer if counted == "intermediate_size" else small, counted))
    return tensor


def _first(tensor: Tensor, axis: int, size: int) -> Tensor:
    """Skips full slices, since each slice costs a tensor of zeros in the backward pass."""
    return tensor if tensor.shape[axis] == size else tensor.narrow(axis, 0, size)


def _slice_heads(tensor: Tensor, axis: int, large: LayerCut, small: LayerCut) -> Tensor:
    """The first rows (columns) of each of the first heads: the same for Q, K, V and the output map."""
    tensor = _first(tensor, axis, small.num_attention_heads * large.head_dim)
    if small.head_dim == large.head_dim:
        return tensor
    heads = tensor.unflatten(axis, (small.num_attention_heads, large.head_dim))
    return heads.narrow(axis + 1, 0, small.head_dim).flatten(axis, axis + 1)
