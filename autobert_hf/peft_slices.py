"""
Adapters of a supernet's slices stay on their slice. PEFT records the supernet's name only, under which the largest
network is loaded: a file beside the adapter's weights records the sizes, and is read when the adapter is loaded.
"""

from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from autobert_hf.modeling.supernet_loading import SLICE_FILE, find, recorded_slice
from autobert_hf.modeling.supernet_space import IN_LAYER, SuperNetError
from autobert_hf.records.json_files import write_json


def keep_slices(peft_model: ModuleType) -> None:
    """Makes `PeftModel` record the slice when it saves, and compare it when it loads."""
    network = peft_model.PeftModel
    save, load = network.save_pretrained, network.load_adapter

    @wraps(save)
    def save_with_slice(self: Any, save_directory: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        save(self, save_directory, *args, **kwargs)
        sizes = getattr(self.get_base_model(), "autobert_slice", None)
        if sizes is not None:
            for config in Path(save_directory).rglob("adapter_config.json"):
                write_json(config.with_name(SLICE_FILE), sizes)

    @wraps(load)
    def check_and_load(self: Any, model_id: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        recorded = recorded_slice(model_id, {})
        if recorded is not None:
            refuse_other_slice(self.get_base_model().config, recorded, model_id)
        return load(self, model_id, *args, **kwargs)

    network.save_pretrained, network.load_adapter = save_with_slice, check_and_load


def load_on_slice(auto: ModuleType) -> None:
    """Makes `AutoPeftModel...` load the slice that an adapter was trained on."""
    load = auto._BaseAutoPeftModel.from_pretrained.__func__

    @classmethod  # type: ignore[misc]
    @wraps(load)
    def load_with_slice(cls: Any, name: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if find(name, SLICE_FILE, {}) and "architecture" not in kwargs:
            kwargs["architecture"] = recorded_slice(name, {})
        return load(cls, name, *args, **kwargs)

    auto._BaseAutoPeftModel.from_pretrained = load_with_slice


def refuse_other_slice(config: Any, recorded: dict[str, Any], name: Any) -> None:  # noqa: ANN401
    """
    Raises:
        SuperNetError: if a network has other sizes than those that an adapter was trained on.
    """
    depth = recorded["num_hidden_layers"]
    same = (config.num_hidden_layers, config.hidden_size) == (depth, recorded["hidden_size"])
    for key in IN_LAYER if same else ():
        wanted = recorded[key] if isinstance(recorded[key], list) else [recorded[key]] * depth
        same = same and [getattr(layer, key) for _, layer in config.layers()] == wanted
    if not same:
        raise SuperNetError(
            f"The adapter {name} was trained on another size of its supernet: load that one first, with "
            f"from_pretrained(..., architecture={recorded})."
        )
