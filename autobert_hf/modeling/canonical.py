"""
The same function in the plainest form: layers that do nothing dropped, a mixer-only layer and the feed-forward-only
layer after it made one, heads and feed-forward widths padded with zeros until all layers are alike.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from .configuration_autobert import PER_LAYER_FIELDS, AutoBertConfig
from .formula import STANDARD_ATTENTION


State = dict[str, Tensor]
Layer = dict[str, Any]  # "type", the per-layer settings, and "weights" by their name inside the layer
ATTENTION = ("num_attention_heads", "head_dim", "attention_formula", "qkv_conv_size")
FEED_FORWARD = ("intermediate_size", "hidden_act", "gated_ffn")


def canonicalize(config: AutoBertConfig, state: State) -> tuple[AutoBertConfig, State]:
    """
    Configuration and weights (by the names of any AutoBert model) of an equal network. Where a step would change the
    function it is left out, so that the result is always right and sometimes plainer.
    """
    prefix = "autobert." if any(name.startswith("autobert.") for name in state) else ""
    all_layers = _read(config, state, f"{prefix}encoder.layers.")
    layers = _merge([layer for layer in all_layers if len(layer["skip"]) < 2 or _resizes(layer)])
    # The prediction head takes its activation from the last layer, even from one that does nothing.
    if not layers or layers[-1]["hidden_act"] != all_layers[-1]["hidden_act"]:
        layers.append(all_layers[-1])
    _pad_feed_forward(layers)
    _pad_heads(layers, config.hidden_size)
    return _write(config, layers, state, f"{prefix}encoder.layers.")


def _read(config: AutoBertConfig, state: State, prefix: str) -> list[Layer]:
    layers = []
    for index, (kind, settings) in enumerate(config.layers()):
        start = f"{prefix}{index}."
        weights = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
        own = {name: getattr(settings, name) for name in PER_LAYER_FIELDS}
        layers.append(own | {"type": kind, "skip": list(settings.skip), "weights": weights})
    return layers


def _write(config: AutoBertConfig, layers: list[Layer], state: State, prefix: str) -> tuple[AutoBertConfig, State]:
    new = {name: value for name, value in state.items() if not name.startswith(prefix)}
    for index, layer in enumerate(layers):
        new |= {f"{prefix}{index}.{name}": value for name, value in layer["weights"].items()}
    first = {name: layers[0][name] for name in PER_LAYER_FIELDS if name != "skip"}
    overrides = {i: {name: layer[name] for name in PER_LAYER_FIELDS} for i, layer in enumerate(layers)}
    data = config.to_dict() | first | {"num_hidden_layers": len(layers), "per_layer_config": overrides}
    return AutoBertConfig.from_dict(data | {"layer_types": [layer["type"] for layer in layers]}), new


def _resizes(layer: Layer) -> bool:
    return any(name.startswith("resize.") for name in layer["weights"])


def _merge(layers: list[Layer]) -> list[Layer]:
    merged: list[Layer] = []
    for layer in layers:
        before = merged[-1] if merged else None
        fits = before is not None and before["skip"] == ["feed_forward"] and layer["skip"] == ["mixer"]
        if before is not None and fits and not _resizes(layer):
            weights = before["weights"] | layer["weights"]
            both = {name: layer[name] for name in FEED_FORWARD} | {"weights": weights, "skip": []}
            # A separable convolution takes its activation from `hidden_act`, which the two halves then share.
            if before["type"] != "conv" or before["conv_type"] == "lightweight" or _same(before, layer, "hidden_act"):
                merged[-1] = before | both
                continue
        merged.append(layer)
    return merged


def _same(one: Layer, other: Layer, name: str) -> bool:
    return one[name] == other[name]


def _pad_feed_forward(layers: list[Layer]) -> None:
    """Pads to equal inner widths: units with zero outgoing weights add nothing, for any activation."""
    width = max((layer["intermediate_size"] for layer in layers if "feed_forward" not in layer["skip"]), default=1)
    for layer in layers:
        if "feed_forward" not in layer["skip"]:
            more, weights = width - layer["intermediate_size"], layer["weights"]
            for name in ("feed_forward.intermediate", "feed_forward.gate"):
                if f"{name}.weight" in weights:
                    weights[f"{name}.weight"] = pad(weights[f"{name}.weight"], (0, 0, 0, more))
                    weights[f"{name}.bias"] = pad(weights[f"{name}.bias"], (0, more))
            weights["feed_forward.output.dense.weight"] = pad(weights["feed_forward.output.dense.weight"], (0, more))
        layer["intermediate_size"] = width


def _pad_heads(layers: list[Layer], hidden_size: int) -> None:
    """
    Pads to heads that fill `hidden_size`, if every mixer is standard attention. A head of zeros adds nothing, and a
    head padded with zeros computes the same once its query is scaled for the larger sqrt(d).
    """
    if any(layer["type"] != "full_attention" or "mixer" in layer["skip"] for layer in layers):
        return
    if any(layer["attention_formula"] != STANDARD_ATTENTION for layer in layers):
        return
    shape = _common_heads(layers, hidden_size)
    if shape is None:
        return
    for layer in layers:
        old = (layer["num_attention_heads"], layer["head_dim"])
        weights = layer["weights"]
        for name in ("query", "key", "value"):
            factor = (shape[1] / old[1]) ** 0.5 if name == "query" else 1.0
            weights[f"mixer.{name}.weight"] = factor * _grow(weights[f"mixer.{name}.weight"], old, shape)
            weights[f"mixer.{name}.bias"] = factor * _grow(weights[f"mixer.{name}.bias"], old, shape)
        output = weights["mixer.output.dense.weight"]
        weights["mixer.output.dense.weight"] = _grow(output.T, old, shape).T.contiguous()
        layer["num_attention_heads"], layer["head_dim"] = shape


def _common_heads(layers: list[Layer], hidden_size: int) -> tuple[int, int] | None:
    """The fewest heads that divide `hidden_size` and into which every layer's heads fit."""
    heads = max(layer["num_attention_heads"] for layer in layers)
    dim = max(layer["head_dim"] for layer in layers)
    for number in range(heads, hidden_size + 1):
        if hidden_size % number == 0 and hidden_size // number >= dim:
            return number, hidden_size // number
    return None


def _grow(rows: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Rows (heads x head_dim, ...) laid into a larger number of larger heads, zeros elsewhere."""
    if old == new:
        return rows
    larger = torch.zeros(*new, *rows.shape[1:], dtype=rows.dtype, device=rows.device)
    larger[: old[0], : old[1]] = rows.unflatten(0, old)
    return larger.flatten(0, 1)
