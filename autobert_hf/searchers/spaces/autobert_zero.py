"""The AutoBERT-Zero space (Gao et al., 2021, section 3.1): a formula or a convolution for every layer."""

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.formula import format_formula, parse_formula, path
from autobert_hf.modeling.graph import GraphError
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, FormulaSampler, uniform


KERNELS = (3, 5, 7, 9, 15, 31, 65)
FIELDS = {"conv": ("conv_kernel_size",), "full_attention": ("attention_formula",)}


@dataclass(frozen=True)
class AutoBertZeroSpace:
    """Each layer independently: a light-weight convolution with one of seven kernels, or attention with a formula."""

    num_hidden_layers: int = 12
    kernels: tuple[int, ...] = KERNELS
    formulas: FormulaSampler = field(default_factory=FormulaSampler)

    # The formulas cannot be counted; with 3 to 12 primitives the space is larger than 10^20 (the paper's figure).
    size: float = math.inf

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        """
        The value at each position. `("path", j)` is shared by all attention layers, each of which adds its own
        sample; `("kernel", i)` belongs to layer i (section 3.3 of the paper).
        """
        genes: list[tuple[Hashable, object]] = []
        for index, layer in enumerate(architecture.layer_dicts):
            if layer["layer_type"] == "conv":
                genes.append((("kernel", index), layer["conv_kernel_size"]))
            else:
                operations = path(parse_formula(layer["attention_formula"]))
                genes += [(("path", j), operation) for j, operation in enumerate(operations)]
        return genes

    def sample(self, rng: Random) -> Architecture:
        return Architecture.of([self._layer(i, rng.random() < 0.5, rng) for i in range(self.num_hidden_layers)])

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw | None = None) -> Architecture:
        """
        Between layers: each layer flips its kind with probability 1/L, without guidance. Inside layers: one layer gets
        another kernel or a changed path, drawn with `draw` where it is given.
        """
        child = architecture
        for index in range(self.num_hidden_layers):
            if rng.random() < 1 / self.num_hidden_layers:
                is_conv = child.layer_dicts[index]["layer_type"] == "conv"
                child = child.replace(index, self._layer(index, not is_conv, rng, draw))
        index = rng.randrange(self.num_hidden_layers)
        return child.replace(index, self._changed(index, child.layer_dicts[index], rng, draw))

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each layer from either parent."""
        return Architecture(tuple(rng.choice(pair) for pair in zip(one.layers, other.layers, strict=True)))

    def contains(self, architecture: Architecture) -> bool:
        layers = architecture.layer_dicts
        fits = len(layers) == self.num_hidden_layers and not architecture.settings
        return fits and all(self._holds(layer) for layer in layers)

    def smallest(self) -> Architecture:
        """Convolutions only: attention with two projections has a few taps fewer or more, never much fewer."""
        return Architecture.of(
            [{"layer_type": "conv", "conv_kernel_size": min(self.kernels)}] * self.num_hidden_layers
        )

    def largest(self) -> Architecture:
        """Attention with every projection in every layer, which costs more than any convolution here."""
        formula = "softmax(q @ (k + p).T / sqrt(d)) @ v"
        layer = {"layer_type": "full_attention", "attention_formula": format_formula(parse_formula(formula))}
        return Architecture.of([layer] * self.num_hidden_layers)

    def from_config(self, config: AutoBertConfig) -> Architecture:
        return Architecture.from_config(config, FIELDS)

    def _layer(self, index: int, is_conv: bool, rng: Random, draw: Draw | None = None) -> dict[str, Any]:
        if is_conv:
            return {"layer_type": "conv", "conv_kernel_size": (draw or uniform)(("kernel", index), self.kernels, rng)}
        return _attention(format_formula(self.formulas.sample(rng, draw)))

    def _changed(self, index: int, layer: dict[str, Any], rng: Random, draw: Draw | None) -> dict[str, Any]:
        if layer["layer_type"] == "conv":
            others = [kernel for kernel in self.kernels if kernel != layer["conv_kernel_size"]] or self.kernels
            return {"layer_type": "conv", "conv_kernel_size": (draw or uniform)(("kernel", index), others, rng)}
        graph = parse_formula(layer["attention_formula"])
        return _attention(format_formula(self.formulas.mutate(graph, rng, draw)))

    def _holds(self, layer: dict[str, Any]) -> bool:
        if set(layer) != {"layer_type", *FIELDS.get(layer.get("layer_type", ""), ())}:
            return False
        if layer["layer_type"] == "conv":
            return layer["conv_kernel_size"] in self.kernels
        try:
            return self.formulas.contains(parse_formula(layer["attention_formula"]))
        except GraphError:
            return False


def _attention(formula: str) -> dict[str, Any]:
    return {"layer_type": "full_attention", "attention_formula": formula}
