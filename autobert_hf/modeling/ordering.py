"""
Reorders a pretrained network before it is cut. A slice keeps the first features, which in a network that was not
trained by slices are arbitrary; after reordering they are those that the network uses most. The network's function
does not change.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from .formula import STANDARD_ATTENTION
from .modeling_autobert import AutoBertModel
from .slicing import SlicingError, weight_axes


@dataclass
class Use:
    """Statistics of activations, summed over real tokens."""

    squares: dict[str, Tensor] = field(default_factory=dict)  # of each feature
    products: dict[str, Tensor] = field(default_factory=dict)  # (heads, head_dim, head_dim) of pairs within a head

    def see(self, name: str, values: Tensor, heads: int = 0) -> None:
        """`values`: (tokens, features)."""
        values = values.float()
        self.squares[name] = self.squares.get(name, torch.zeros(())) + values.square().sum(0)
        if heads:
            parts = values.unflatten(-1, (heads, -1)).transpose(0, 1)
            self.products[name] = self.products.get(name, torch.zeros(())) + parts.transpose(1, 2) @ parts


@torch.no_grad()
def order_by_use(model: AutoBertModel, batches: Iterable[Mapping[str, Tensor]]) -> None:
    """
    Changes the weights in place. Features of the network are sorted by their mean square, neurons by their mean square
    after their outgoing weights. Features of each head are rotated, queries and keys by one rotation and values by
    another, so that the first ones carry the most; scores and outputs do not change under these rotations.

    Args:
        model: bare encoder with attention layers alone, as `from_bert` gives.
        batches: `{input_ids, attention_mask}`, each (rows, tokens); some hundred sentences are enough.

    Raises:
        SlicingError: if a layer is not like BERT's, so that a rotation might change its output.
    """
    for index, (kind, config) in enumerate(model.config.layers()):
        if kind != "full_attention" or config.attention_formula != STANDARD_ATTENTION or config.skip:
            raise SlicingError(
                f"Layer {index} is not standard attention with a feed-forward network: only networks of such layers "
                "can be put in order."
            )
    model.eval()
    use = Use()
    with _watched(model, use) as real:
        for batch in batches:
            real[:] = [batch["attention_mask"].bool()]
            model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    layers: Any = model.encoder.layers
    for index, layer in enumerate(layers):
        _sort_neurons(layer.feed_forward, use.squares[f"{index}.neurons"])
        _turn_heads(layer.mixer, use, index)
    states = [squares / squares.sum() for name, squares in use.squares.items() if name.endswith("state")]
    _sort_features(model, torch.stack(states).sum(0).argsort(descending=True))


@contextmanager
def _watched(model: AutoBertModel, use: Use) -> Iterator[list[Tensor]]:
    """While a batch runs, the list has to hold its mask of real tokens."""
    real: list[Tensor] = []

    def watch(part: nn.Module, name: str, heads: int = 0, read: bool = False) -> Any:  # noqa: ANN401
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            use.see(name, (inputs[0] if read else output)[real[0]], heads)

        return part.register_forward_hook(hook)

    hooks, layers = [], cast(Any, model.encoder.layers)
    for index, layer in enumerate(layers):
        heads = layer.mixer.query.out_features // layer.mixer.head_dim
        projections = ("query", "key", "value")
        hooks += [watch(getattr(layer.mixer, name), f"{index}.{name}", heads) for name in projections]
        hooks.append(watch(layer.feed_forward.output.dense, f"{index}.neurons", read=True))
        hooks.append(watch(layer, f"{index}.state"))
    try:
        yield real
    finally:
        for hook in hooks:
            hook.remove()


def _sort_neurons(feed_forward: Any, squares: Tensor) -> None:  # noqa: ANN401
    outgoing = feed_forward.output.dense.weight
    order = (squares * outgoing.square().sum(0)).argsort(descending=True)
    outgoing.copy_(outgoing[:, order])
    for module in filter(None, (feed_forward.intermediate, feed_forward.gate)):
        module.weight.copy_(module.weight[order])
        module.bias.copy_(module.bias[order])


def _turn_heads(mixer: Any, use: Use, index: int) -> None:  # noqa: ANN401
    """Rotates to principal axes, largest first: of values, and of queries and keys (equally weighted) in one basis."""
    queries, keys, values = (use.products[f"{index}.{name}"] for name in ("query", "key", "value"))
    both = queries / _trace(queries) + keys / _trace(keys)
    for projection, products in ((mixer.query, both), (mixer.key, both), (mixer.value, values)):
        turn = _axes(products)
        projection.weight.copy_((turn @ _by_head(projection.weight, turn)).flatten(0, 1))
        projection.bias.copy_((turn @ _by_head(projection.bias[:, None], turn)).flatten())
    outgoing = mixer.output.dense.weight
    outgoing.copy_((_axes(values) @ _by_head(outgoing.T, values)).flatten(0, 1).T)


def _trace(products: Tensor) -> Tensor:
    """(heads, 1, 1); clamped to a small positive value for a head whose features are always zero."""
    return products.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].clamp(min=1e-12)


def _axes(products: Tensor) -> Tensor:
    """(heads, head_dim, head_dim): rotations whose rows are the principal axes."""
    return torch.linalg.eigh(products).eigenvectors.flip(2).transpose(1, 2)


def _by_head(weight: Tensor, like: Tensor) -> Tensor:
    return weight.unflatten(0, (len(like), -1))


def _sort_features(model: AutoBertModel, order: Tensor) -> None:
    """Every axis that counts features of the network; embeddings of another size keep their order."""
    counted = {"hidden_size", "embedding_size"}
    if model.config.embedding_size != model.config.hidden_size:
        counted.remove("embedding_size")
    for name, weight in model.state_dict().items():
        _, axes = weight_axes(name)
        for axis in range(weight.ndim):
            if axes[axis] in counted:
                weight.copy_(weight.index_select(axis, order))
