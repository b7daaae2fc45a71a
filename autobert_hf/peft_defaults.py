"""
PEFT's default target modules for AutoBert: our modules have BERT's names, so BERT's defaults fit. LoRA adapts
convolutions, which BERT does not have, at their input map.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


CONSTANTS = "peft.utils.constants"
LORA = ("TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", "TRANSFORMERS_MODELS_TO_ADALORA_TARGET_MODULES_MAPPING")


def register() -> None:
    """Registers now if PEFT is loaded, else when it is imported: importing PEFT here would cost a second."""
    if CONSTANTS in sys.modules:
        add_defaults(sys.modules[CONSTANTS])
    elif not any(isinstance(finder, _AfterPeft) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPeft())


def add_defaults(constants: ModuleType) -> None:
    for name, mapping in vars(constants).items():
        if name.endswith("_MAPPING") and isinstance(mapping, dict) and "bert" in mapping:
            mapping["autobert"] = [*mapping["bert"], "mixer.input"] if name in LORA else mapping["bert"]


class _AfterPeft(importlib.abc.MetaPathFinder):
    """Finds PEFT's constants module as usual, and adds our entries after it has run."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != CONSTANTS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_add(module: ModuleType) -> None:
                execute(module)
                add_defaults(module)

            spec.loader.exec_module = execute_and_add  # type: ignore[method-assign]
        return spec
