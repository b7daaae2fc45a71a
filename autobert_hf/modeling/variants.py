"""Networks derived from a found one: the ablations of AutoBERT-Zero (Table 5, Figure 7) and its scaling rule."""

from random import Random
from typing import Any

from .configuration_autobert import AutoBertConfig


Layer = tuple[str, dict[str, Any]]


def ablations(config: AutoBertConfig, seed: int = 0) -> dict[str, AutoBertConfig]:
    """
    `attention-only`: each convolution replaced by the attention layer after it (the last one before it, where none
    follows). `convolution-only`: each attention layer replaced by the convolution before it (or after it).
    `kernels-shuffled`, `kernels-reversed`: the same convolutions in another order. What a network has no layers for
    is left out.
    """
    layers = read_layers(config)
    kinds = [kind for kind, _ in layers]
    kernels = [values["conv_kernel_size"] for kind, values in layers if kind == "conv"]
    found = {}
    if "conv" in kinds and set(kinds) != {"conv"}:
        found["attention-only"] = [layers[_next(kinds, i, wanted_conv=False)] for i in range(len(kinds))]
        found["convolution-only"] = [layers[_previous(kinds, i)] for i in range(len(kinds))]
    if len(set(kernels)) > 1:
        found["kernels-shuffled"] = _with_kernels(layers, _shuffled(kernels, seed))
        found["kernels-reversed"] = _with_kernels(layers, kernels[::-1])
    return {name: write_layers(config, chosen) for name, chosen in found.items()}


def deeper(config: AutoBertConfig, **sizes: Any) -> AutoBertConfig:
    """
    Twice the layers: every two connected layers are a block, and an identical block stands right after each (section
    4.1 of the paper, its way from base to large). `sizes` are global settings of the larger network, e.g.
    `hidden_size=1024, num_attention_heads=16, intermediate_size=4096`.
    """
    layers = read_layers(config)
    pairs = [layers[i : i + 2] for i in range(0, len(layers), 2)]
    return write_layers(config, [layer for pair in pairs for layer in pair * 2], **sizes)


def resized(config: AutoBertConfig, **sizes: Any) -> AutoBertConfig:
    """The same structure in another size (the paper's way from base to small)."""
    return write_layers(config, read_layers(config), **sizes)


def read_layers(config: AutoBertConfig) -> list[Layer]:
    """Each layer's type and what it overrides, a convolution's kernel always among it."""
    overrides = config.to_dict().get("per_layer_config", {})
    by_index = {int(index): values for index, values in overrides.items()}
    return [
        (kind, {"conv_kernel_size": layer.conv_kernel_size} | by_index.get(index, {}))
        for index, (kind, layer) in enumerate(config.layers())
    ]


def write_layers(config: AutoBertConfig, layers: list[Layer], **sizes: Any) -> AutoBertConfig:
    """`config` with other layers; sizes that follow from changed ones are derived anew."""
    data = config.to_dict() | sizes
    if "hidden_size" in sizes or "num_attention_heads" in sizes:
        derived = {"head_dim", "layer_width", "conv_num_heads"} - set(sizes)
        if config.embedding_size == config.hidden_size:
            derived |= {"embedding_size"} - set(sizes)
        data |= dict.fromkeys(derived)
    data |= {"num_hidden_layers": len(layers), "layer_types": [kind for kind, _ in layers]}
    # A network whose layers are alike must equal one that never had overrides.
    own = [{name: value for name, value in values.items() if data.get(name) != value} for _, values in layers]
    overrides = {index: values for index, values in enumerate(own) if values}
    for name in ("per_layer_config", "allow_global_per_layer_attribute_access"):
        data.pop(name, None)
    return AutoBertConfig.from_dict(data | ({"per_layer_config": overrides} if overrides else {}))


def _next(kinds: list[str], index: int, wanted_conv: bool) -> int:
    """The first layer of the wanted kind from `index` on, else the last one before it."""
    fitting = [i for i, kind in enumerate(kinds) if (kind == "conv") == wanted_conv]
    return next((i for i in fitting if i >= index), fitting[-1])


def _previous(kinds: list[str], index: int) -> int:
    """The last convolution up to `index`, else the first one after it."""
    fitting = [i for i, kind in enumerate(kinds) if kind == "conv"]
    return next((i for i in reversed(fitting) if i <= index), fitting[0])


def _with_kernels(layers: list[Layer], kernels: list[int]) -> list[Layer]:
    left = iter(kernels)
    return [(kind, values | {"conv_kernel_size": next(left)} if kind == "conv" else values) for kind, values in layers]


def _shuffled(kernels: list[int], seed: int) -> list[int]:
    """Another order than the given one."""
    rng = Random(seed)
    shuffled = list(kernels)
    while shuffled == kernels:
        rng.shuffle(shuffled)
    return shuffled
