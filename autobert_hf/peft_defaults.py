"""
What PEFT knows of AutoBert: default target modules, which prompts fit, and the slices of supernets. Our modules have
BERT's names, so BERT's defaults fit. LoRA adapts convolutions, which BERT does not have, at their input map.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from autobert_hf.peft_prompts import add_checks
from autobert_hf.peft_slices import keep_slices, load_on_slice


LORA = ("TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", "TRANSFORMERS_MODELS_TO_ADALORA_TARGET_MODULES_MAPPING")


def register() -> None:
    """Registers now if PEFT is loaded, else when it is imported: importing PEFT here would cost a second."""
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name])
        elif not any(isinstance(finder, _AfterImport) and finder.name == name for finder in sys.meta_path):
            sys.meta_path.insert(0, _AfterImport(name, change))


def add_defaults(constants: ModuleType) -> None:
    for name, mapping in vars(constants).items():
        if name.endswith("_MAPPING") and isinstance(mapping, dict) and "bert" in mapping:
            mapping["autobert"] = [*mapping["bert"], "mixer.input"] if name in LORA else mapping["bert"]


def change_models(peft_model: ModuleType) -> None:
    add_checks(peft_model)
    keep_slices(peft_model)


CHANGES = {"peft.utils.constants": add_defaults, "peft.peft_model": change_models, "peft.auto": load_on_slice}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Finds one module as usual, and changes it after it has run."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self.name, self.change = name, change

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_change(module: ModuleType) -> None:
                execute(module)
                self.change(module)

            spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec
