"""
Adapters of a supernet's slices stay on their slice. PEFT records the supernet's name only, under which the largest
network is loaded: a file beside the adapter's weights records the sizes, and is read when the adapter is loaded.
"""

from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from autobert_hf.modeling.supernet_loading import SLICE_FILE, find, recorded_slice, refuse_other_slice
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
        refuse_other_slice(self.get_base_model().config, model_id, {})
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
