"""
Checks of PEFT's prompt methods before a prompt is made. PEFT takes its sizes from `hidden_size` and
`num_attention_heads`, and asks a model for no others; where ours differ, torch would fail on the first batch.
"""

from functools import wraps
from types import ModuleType
from typing import Any


# Methods that give each layer keys and values of its own, in a cache; all others put tokens before the text.
IN_THE_CACHE = {"PREFIX_TUNING", "CARTRIDGE"}


def add_checks(peft_model: ModuleType) -> None:
    """Makes PEFT's `PeftModel` refuse prompts that do not fit an AutoBert network."""
    add_adapter = peft_model.PeftModel.add_adapter

    @wraps(add_adapter)
    def check_and_add(self: Any, adapter_name: str, peft_config: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        network = getattr(self.base_model, "config", None)  # PEFT adapts modules without one as well
        if peft_config.is_prompt_learning and getattr(network, "model_type", None) == "autobert":
            refuse_unfit_prompt(network, peft_config)
        add_adapter(self, adapter_name, peft_config, *args, **kwargs)

    peft_model.PeftModel.add_adapter = check_and_add


def refuse_unfit_prompt(network: Any, prompt: Any) -> None:  # noqa: ANN401 (an AutoBertConfig, also of remote code)
    """
    Checks the configuration of a prompt, as a user has written it, against that of a network.

    Raises:
        ValueError: if the prompt does not fit; it says which sizes to give, or that none would do.
    """
    name, width = type(prompt).__name__, prompt.token_dim or network.hidden_size
    if prompt.peft_type in IN_THE_CACHE:
        _refuse_unfit_prefix(network, prompt, name)
    elif width != network.embedding_size:
        raise ValueError(
            f"A prompt of width {width} does not fit this network's embeddings of width {network.embedding_size}: "
            f"give {name}(token_dim={network.embedding_size})."
        )


def _refuse_unfit_prefix(network: Any, prompt: Any, name: str) -> None:  # noqa: ANN401
    kept = [(kind, layer) for kind, layer in network.layers() if "mixer" not in layer.skip]
    if network.is_decoder and (conv := [kind for kind, _ in kept if kind != "full_attention"]):
        raise ValueError(
            f"{name} fills a cache of keys and values only, but the decoder's {conv[0]!r} layers keep the last tokens "
            "there as well: use LoRA or PromptTuningConfig."
        )
    shapes = {(layer.num_attention_heads, layer.head_dim) for kind, layer in kept if kind != "conv"}
    if not shapes:
        raise ValueError(
            f"{name} needs attention, which no layer of this network has: use LoRA or PromptTuningConfig."
        )
    if len(shapes) > 1:
        each = ", ".join(f"{heads} of size {size}" for heads, size in sorted(shapes))
        raise ValueError(
            f"{name} gives all layers keys of one shape, but this network's layers have different heads ({each}): "
            "use LoRA or PromptTuningConfig."
        )
    given = (prompt.num_attention_heads or network.num_attention_heads, prompt.token_dim or network.hidden_size)
    for heads, size in shapes:
        if given != (heads, heads * size):
            raise ValueError(
                f"A prefix of {given[0]} heads and {given[1]} channels does not fit this network's layers, which have "
                f"{heads} heads of size {size}: give {name}(num_attention_heads={heads}, token_dim={heads * size})."
            )
