"""Registers AutoBert with transformers' Auto classes and PEFT, and supernets with the push of cards."""

import transformers

from autobert_hf import peft_defaults, supernet_hub
from autobert_hf.modeling import modeling_autobert
from autobert_hf.modeling.configuration_autobert import AUTO_MAP, AutoBertConfig


def register() -> None:
    """
    After `import autobert_hf`, `AutoModel...from_pretrained` loads `autobert` folders, and every save includes the
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
    peft_defaults.register()
    supernet_hub.register()
