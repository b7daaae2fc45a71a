"""Adapters of PEFT as encoders: the base that they change, and the encoder with the changes in its weights."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.utils.peft_utils import find_adapter_config_file

from autobert_hf.records.model_folder import read_file_of_a_model


# The heads that adapters bring with them.
HEADS = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}


class AdapterError(ValueError):
    """The adapter cannot be merged into its base; the message says why."""


def adapter_config(source: str) -> dict[str, Any] | None:
    """
    The configuration of the adapter in a folder or with a Hub id; None if it is none.

    Raises:
        AdapterError: if it does not name its base.
        ModelFileError: if its file is damaged.
    """
    try:
        path = find_adapter_config_file(source)
    except (OSError, ValueError):  # no such name, no network: whoever loads the model says so
        return None
    if path is None:
        return None
    config: dict[str, Any] = read_file_of_a_model(Path(path), dict)
    if not config.get("base_model_name_or_path"):
        raise AdapterError(f"The adapter {source} names no base_model_name_or_path in adapter_config.json: add it.")
    return config


def adapter_base(source: str) -> str | None:
    """The folder or Hub id of the adapter's base; None if `source` is no adapter."""
    config = adapter_config(source)
    return None if config is None else config["base_model_name_or_path"]


def tokenizer_source(source: str) -> str:
    """Where the tokenizer is: an adapter has its base's where it has none of its own."""
    base = adapter_base(source)
    is_without = Path(source).is_dir() and not (Path(source) / "tokenizer_config.json").exists()
    return base if base is not None and is_without else source


def merged(encoder: PreTrainedModel, source: str) -> PreTrainedModel:
    """
    The bare encoder with the adapter's changes added to its weights. The adapter may have been trained on the encoder
    with a head, whose weights are left out.

    Raises:
        AdapterError: if the adapter does not fit the encoder, or is of a kind that weights cannot hold.
    """
    # Imported only here: it takes a second.
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    config = PeftConfig.from_pretrained(source)
    if config.is_prompt_learning:
        raise AdapterError(
            f"The adapter {source} is of the kind {config.peft_type.value}, which adds to the input and not to the "
            "weights: it cannot teach. Give a merged model or an adapter such as LoRA."
        )
    config.task_type = config.modules_to_save = None  # those of a head
    before, prefix = "base_model.model.", f"base_model.model.{encoder.base_model_prefix}."
    given = load_peft_weights(source, device="cpu")
    weights = {before + name.removeprefix(prefix).removeprefix(before): value for name, value in given.items()}
    adapted = get_peft_model(encoder, config)
    wanted = get_peft_model_state_dict(adapted).keys()
    if missing := sorted(wanted - weights.keys()):
        raise AdapterError(f"The adapter {source} does not fit its base: it has no {missing[0]}. Give its own base.")
    set_peft_model_state_dict(adapted, {name: weights[name] for name in wanted})
    return adapted.merge_and_unload()
