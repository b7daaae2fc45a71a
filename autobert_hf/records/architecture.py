"""The part of a configuration that a search decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.variants import write_layers


Items = tuple[tuple[str, Any], ...]


def freeze(values: Mapping[str, Any]) -> Items:
    return tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in values.items()))


@dataclass(frozen=True)
class Architecture:
    """
    Immutable, hashable and JSON-able. `layers` holds each layer's `layer_type` and per-layer values, `settings` what
    holds for the whole network, both in the vocabulary of `AutoBertConfig`.
    """

    layers: tuple[Items, ...]
    settings: Items = ()

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]], **settings: Any) -> "Architecture":
        return cls(tuple(freeze(layer) for layer in layers), freeze(settings))

    @property
    def layer_dicts(self) -> list[dict[str, Any]]:
        return [dict(layer) for layer in self.layers]

    def replace(self, index: int, layer: Mapping[str, Any]) -> "Architecture":
        """The same network with another layer `index`."""
        return Architecture((*self.layers[:index], freeze(layer), *self.layers[index + 1 :]), self.settings)

    def to_json(self) -> dict[str, Any]:
        return {"layers": self.layer_dicts, "settings": dict(self.settings)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Architecture":
        return cls.of(data["layers"], **data["settings"])

    def to_config(self, base: AutoBertConfig) -> AutoBertConfig:
        """`base` with this architecture's choices in place of its own layers; sizes that follow from them follow."""
        layers = [(layer.pop("layer_type"), layer) for layer in self.layer_dicts]
        return write_layers(base, layers, **dict(self.settings))

    @classmethod
    def from_config(cls, config: AutoBertConfig, fields: Mapping[str, Sequence[str]]) -> "Architecture":
        """Reads back the per-layer `fields` of each layer type, e.g. `{"conv": ["conv_kernel_size"]}`."""
        return cls.of(
            [
                {"layer_type": kind} | {name: getattr(layer, name) for name in fields[kind]}
                for kind, layer in config.layers()
            ]
        )
