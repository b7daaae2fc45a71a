"""Tells transformers' Auto classes, and PEFT where it is used, about AutoBert."""

import importlib
import sys

import transformers

from autobert_hf.modeling import modeling_autobert
from autobert_hf.modeling.configuration_autobert import AUTO_MAP, AutoBertConfig


def register() -> None:
    """
    After `import autobert_hf`, `AutoModel...from_pretrained` knows `autobert` folders, and every save carries the
    modelling files, so that it loads with `trust_remote_code=True` where this package is not installed.
    """
    transformers.AutoConfig.register("autobert", AutoBertConfig, exist_ok=True)
    AutoBertConfig.register_for_auto_class()
    for auto_name, reference in AUTO_MAP.items():
        if auto_name == "AutoConfig":
            continue
        model_class = getattr(modeling_autobert, reference.partition(".")[2])
        getattr(transformers, auto_name).register(AutoBertConfig, model_class, exist_ok=True)
        model_class.register_for_auto_class(auto_name)
    if "peft" in sys.modules:
        register_peft_defaults()


def register_peft_defaults() -> None:
    """PEFT's default target modules: ours bear BERT's names, so BERT's defaults fit."""
    constants = importlib.import_module("peft.utils.constants")
    for name in vars(constants):
        mapping = getattr(constants, name)
        if name.endswith("_MAPPING") and isinstance(mapping, dict) and "bert" in mapping:
            mapping["autobert"] = mapping["bert"]
