"""
`from_pretrained(..., architecture=...)`: a slice of a published supernet as an ordinary model. The keyword is taken
out before transformers sees it; the weights of the slice are read, and handed on as a `state_dict` with its
configuration.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file, cached_files, resolve_revision

from .configuration_autobert import AutoBertConfig
from .slicing import Cut
from .supernet_files import needed_files, read_slice
from .supernet_layout import Layout
from .supernet_space import IN_LAYER, SuperNetError, SuperNetSpace


HUB = ("cache_dir", "force_download", "proxies", "local_files_only", "token", "revision", "subfolder")
SLICE_FILE = "architecture.json"  # beside an adapter's weights: the slice that it was trained on


def load(
    ordinary: Callable[..., Any],
    config_class: type[AutoBertConfig],
    name: Any,  # noqa: ANN401
    *args: Any,
    **kwargs: Any,
) -> Any:  # noqa: ANN401
    """
    `ordinary` is transformers' from_pretrained of a model's class; the arguments are those that it was called with.

    Raises:
        OSError: if safetensors are missing or damaged.
        SuperNetError: if the supernet holds no such architecture, or there is none to choose from.
    """
    kwargs["use_safetensors"] = True
    architecture = kwargs.pop("architecture", None)
    adapter, base = _adapter_of(name, kwargs)
    config = _supernet_config(config_class, base, kwargs)
    try:
        if config is None:
            if architecture is not None:
                raise SuperNetError(f"{name} is no supernet and has one size only: leave `architecture` out.")
            return ordinary(name, *args, **kwargs)
        return _load_slice(ordinary, config, base, adapter, architecture, args, kwargs)
    except SafetensorError as error:
        raise OSError(f"The safetensors file of {name} is damaged ({error}): fetch it again.") from error


def _hub(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: kwargs[key] for key in HUB if kwargs.get(key) is not None}


def find(name: Any, file: str, hub: dict[str, Any]) -> str | None:  # noqa: ANN401
    """Where a file of a folder or Hub repository lies, None if it has none of that name."""
    return cached_file(name, file, **hub, _raise_exceptions_for_missing_entries=False)


def _adapter_of(name: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:  # noqa: ANN401
    """The adapter that is to be loaded on top, if any, and the network below: `name` may be that of an adapter."""
    given = (kwargs.get("adapter_kwargs") or {}).get("_adapter_model_path")
    if (
        given is not None
        or name is None
        or kwargs.get("config") is not None
        or find(name, "config.json", _hub(kwargs))
    ):
        return given, name
    path = find(name, "adapter_config.json", _hub(kwargs))
    return (None, name) if path is None else (name, json.loads(Path(path).read_text())["base_model_name_or_path"])


def _supernet_config(config_class: type[AutoBertConfig], name: Any, kwargs: dict[str, Any]) -> AutoBertConfig | None:  # noqa: ANN401
    """The supernet's configuration, with the settings in `kwargs` taken out and applied; None for other networks."""
    config = kwargs.get("config")
    if name is None or kwargs.get("state_dict") is not None:
        return None
    if not isinstance(config, PreTrainedConfig):  # with remote code there can be two AutoBertConfig
        source = config or name
        path = find(source, "config.json", _hub(kwargs))
        if path is None or not isinstance(settings := _settings(path), dict) or settings.get("supernet") is None:
            return None
        rest = {key: value for key, value in kwargs.items() if key not in ("config", *HUB)}
        config, unused = config_class.from_pretrained(source, return_unused_kwargs=True, **_hub(kwargs), **rest)
        for key in set(rest) - set(unused):
            del kwargs[key]
        kwargs["config"] = config
    return config if config.supernet is not None else None  # type: ignore[return-value]


def _settings(path: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None  # transformers says what is wrong with it


def _load_slice(
    ordinary: Callable[..., Any],
    config: AutoBertConfig,
    name: Any,  # noqa: ANN401
    adapter: Any,  # noqa: ANN401
    architecture: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # noqa: ANN401
    space = SuperNetSpace.of(config)
    hub = _hub(kwargs)
    if adapter is not None:
        architecture = slice_of_adapter(adapter, architecture, hub)
    cut = space.cut(space.sizes(architecture, config), config)
    small = cut.to_config(config)
    for key in ("_attn_implementation", "_commit_hash"):
        setattr(small, key, getattr(config, key, None))
    state = read_slice(_fetch(name, space, config, cut, hub), Layout.of(space, config), cut, space.digest(config))
    passed = {key: value for key, value in kwargs.items() if key not in (*HUB, "config", "adapter_kwargs")}
    loaded = ordinary(None, *args, config=small, state_dict=state, **passed)
    model = loaded[0] if isinstance(loaded, tuple) else loaded
    model.name_or_path = model.config.name_or_path = str(name)
    model.autobert_slice = space.sizes(architecture, config)
    if adapter is not None:
        model.load_adapter(adapter, adapter_name=kwargs.get("adapter_name", "default"))
    return loaded


def _fetch(
    name: Any,  # noqa: ANN401
    space: SuperNetSpace,
    config: AutoBertConfig,
    cut: Cut,
    hub: dict[str, Any],
) -> dict[str, Path]:
    """Where the files that a slice needs lie; those of a Hub repository are downloaded, and no others."""
    files = [file for names in needed_files(Layout.of(space, config), cut).values() for file in names]
    where = {key: hub[key] for key in ("token", "local_files_only", "cache_dir") if key in hub}
    revision = resolve_revision(name, hub.get("revision"), **where)
    paths = cached_files(os.fspath(name), files, **(hub | {"revision": revision}))
    assert paths is not None
    return dict(zip(files, map(Path, paths), strict=True))


def recorded_slice(adapter: Any, hub: dict[str, Any]) -> Any:  # noqa: ANN401
    """The sizes that an adapter was trained on, if it was made on a slice of a supernet and says so; else None."""
    path = find(adapter, SLICE_FILE, hub)
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def slice_of_adapter(adapter: Any, architecture: object, hub: dict[str, Any]) -> object:  # noqa: ANN401
    """
    The slice that an adapter goes on: `architecture` (which `load_adapter` compares with the record) or its own.

    Raises:
        SuperNetError: if there is neither.
    """
    chosen = recorded_slice(adapter, hub) if architecture is None else architecture
    if chosen is None:
        raise SuperNetError(
            f"{adapter} was trained on a supernet, and does not say on which size: give the `architecture` that it "
            "was trained on."
        )
    return chosen


def refuse_other_slice(config: Any, adapter: Any, hub: dict[str, Any]) -> None:  # noqa: ANN401
    """
    Raises:
        SuperNetError: if a network has other sizes than those that an adapter records.
    """
    recorded = recorded_slice(adapter, hub)
    if recorded is not None and not _has_sizes(config, recorded):
        raise SuperNetError(
            f"The adapter {adapter} was trained on another size of its supernet: load that one first, with "
            f"from_pretrained(..., architecture={recorded})."
        )


def _has_sizes(config: Any, sizes: dict[str, Any]) -> bool:  # noqa: ANN401
    depth = sizes["num_hidden_layers"]
    if (config.num_hidden_layers, config.hidden_size) != (depth, sizes["hidden_size"]):
        return False
    wanted = {key: sizes[key] if isinstance(sizes[key], list) else [sizes[key]] * depth for key in IN_LAYER}
    return all([getattr(layer, key) for _, layer in config.layers()] == wanted[key] for key in IN_LAYER)


class AdapterChecks(PreTrainedModel):
    """A model on which adapters of other sizes of a supernet are refused."""

    def load_adapter(self, peft_model_id: str | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """
        As in transformers, which drops layers that are not there; an adapter of another size of a supernet is refused.

        Raises:
            SuperNetError: if the adapter was trained on another size than this network's.
        """
        if peft_model_id is not None:
            refuse_other_slice(self.config, peft_model_id, kwargs.get("adapter_kwargs") or {})
        return super().load_adapter(peft_model_id, *args, **kwargs)
