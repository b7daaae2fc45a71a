"""The part of a configuration that a search decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.variants import read_layers, write_layers


Items = tuple[tuple[str, Any], ...]


def freeze(values: Mapping[str, Any]) -> Items:
    return tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in values.items()))


@dataclass(frozen=True)
class Architecture:
    """
    Immutable, hashable and serializable as JSON. `layers`: each layer's `layer_type` and per-layer values; `settings`:
    values of the whole network; both use the names of `AutoBertConfig`. In a user-defined space there may be only
    settings, with any names. Settings are read by name, `architecture["hidden_size"]`, and as `**architecture`.
    """

    layers: tuple[Items, ...]
    settings: Items = ()

    @classmethod
    def of(cls, layers: Sequence[Mapping[str, Any]], /, **settings: Any) -> "Architecture":
        return cls(tuple(freeze(layer) for layer in layers), freeze(settings))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (whatever the setting holds)
        found = dict(self.settings)
        if name not in found:
            raise KeyError(f"{name!r} is not a setting of this architecture; it has {', '.join(found) or 'none'}")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names of the settings."""
        return [name for name, _ in self.settings]

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
        """
        `base` with this architecture's layers and settings; sizes derived from them are updated. An architecture
        without layers keeps those of `base`, truncated or with the last one repeated to its `num_hidden_layers`.
        """
        settings = dict(self.settings)
        layers = [(layer.pop("layer_type"), layer) for layer in self.layer_dicts]
        if not layers:
            own = [(kind, {k: v for k, v in one.items() if k not in settings}) for kind, one in read_layers(base)]
            depth = settings.pop("num_hidden_layers", len(own))
            layers = [own[min(index, len(own) - 1)] for index in range(depth)]
        return write_layers(base, layers, **settings)

    @classmethod
    def from_config(cls, config: AutoBertConfig, fields: Mapping[str, Sequence[str]]) -> "Architecture":
        """Reads back the per-layer `fields` of each layer type, e.g. `{"conv": ["conv_kernel_size"]}`."""
        return cls.of(
            [
                {"layer_type": kind} | {name: getattr(layer, name) for name in fields[kind]}
                for kind, layer in config.layers()
            ]
        )
