"""The AutoBERT-Zero space (Gao et al., 2021, section 3.1): a formula or a convolution for every layer."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.formula import format_formula, parse_formula, path
from autobert_hf.modeling.graph import GraphError
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import MAX_ATTEMPTS, Draw, FormulaSampler, SpaceError, uniform
from autobert_hf.searchers.spaces.layer_constraints import CONSTRAINTS, RUN, arranged


KERNELS = (3, 5, 7, 9, 15, 31, 65)
FIELDS = {"conv": ("conv_kernel_size",), "full_attention": ("attention_formula",)}


@dataclass(frozen=True)
class AutoBertZeroSpace:
    """
    Each layer independently: a light-weight convolution with one of seven kernels, or attention with a formula.
    `constraint`: the layers that an architecture must have, one of `CONSTRAINTS` (AutoBERT-att, -conv, -w/o-desc).

    Raises:
        ValueError: if there are fewer layers than the constraint asks for.
    """

    num_hidden_layers: int = 12
    kernels: tuple[int, ...] = KERNELS
    formulas: FormulaSampler = field(default_factory=FormulaSampler)
    constraint: str = "none"

    # The formulas cannot be counted; with 3 to 12 primitives the space is larger than 10^20 (the paper's figure).
    size: float = math.inf

    def __post_init__(self) -> None:
        if self.constraint in ("att", "conv") and self.num_hidden_layers < RUN:
            raise ValueError(
                f"The constraint {self.constraint} asks for {RUN} layers in a row, but there are "
                f"{self.num_hidden_layers}: give --num-hidden-layers {RUN} or more."
            )

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
        return self._until_kept(lambda: arranged(self._sample(rng), self.constraint))

    def _sample(self, rng: Random) -> Architecture:
        return Architecture.of([self._layer(i, rng.random() < 0.5, rng) for i in range(self.num_hidden_layers)])

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw | None = None) -> Architecture:
        """
        Between layers: each layer flips its kind with probability 1/L, without guidance. Inside layers: one layer gets
        another kernel or a changed path, drawn with `draw` where it is given.
        """
        return self._until_kept(lambda: self._mutant(architecture, rng, draw))

    def _mutant(self, architecture: Architecture, rng: Random, draw: Draw | None) -> Architecture:
        child = architecture
        for index in range(self.num_hidden_layers):
            if rng.random() < 1 / self.num_hidden_layers:
                is_conv = child.layer_dicts[index]["layer_type"] == "conv"
                child = child.replace(index, self._layer(index, not is_conv, rng, draw))
        index = rng.randrange(self.num_hidden_layers)
        return child.replace(index, self._changed(index, child.layer_dicts[index], rng, draw))

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each layer from either parent."""
        pairs = [*zip(one.layers, other.layers, strict=True)]
        return self._until_kept(lambda: Architecture(tuple(rng.choice(pair) for pair in pairs)))

    def contains(self, architecture: Architecture) -> bool:
        layers = architecture.layer_dicts
        fits = len(layers) == self.num_hidden_layers and not architecture.settings
        return fits and all(self._holds(layer) for layer in layers) and CONSTRAINTS[self.constraint](architecture)

    def smallest(self) -> Architecture:
        """Convolutions only: attention with two projections has a few taps fewer or more, never much fewer."""
        conv = {"layer_type": "conv", "conv_kernel_size": min(self.kernels)}
        attentions = RUN if self.constraint == "att" else 0
        return Architecture.of(
            [_standard("softmax(q @ k.T / sqrt(d)) @ k")] * attentions + [conv] * (self.num_hidden_layers - attentions)
        )

    def largest(self) -> Architecture:
        """Attention with every projection in every layer, which costs more than any convolution here."""
        conv = {"layer_type": "conv", "conv_kernel_size": max(self.kernels)}
        convolutions = RUN if self.constraint == "conv" else 0
        attentions = self.num_hidden_layers - convolutions
        return Architecture.of(
            [_standard("softmax(q @ (k + p).T / sqrt(d)) @ v")] * attentions + [conv] * convolutions
        )

    def from_config(self, config: AutoBertConfig) -> Architecture:
        return Architecture.from_config(config, FIELDS)

    def _until_kept(self, propose: Callable[[], Architecture]) -> Architecture:
        """
        Raises:
            SpaceError: if none of many proposals fulfils the constraint.
        """
        for _ in range(MAX_ATTEMPTS):
            if CONSTRAINTS[self.constraint](found := propose()):
                return found
        raise SpaceError(f"None of {MAX_ATTEMPTS} networks fulfils the constraint {self.constraint}: leave it out.")

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


def _standard(formula: str) -> dict[str, Any]:
    return _attention(format_formula(parse_formula(formula)))


def _attention(formula: str) -> dict[str, Any]:
    return {"layer_type": "full_attention", "attention_formula": formula}
