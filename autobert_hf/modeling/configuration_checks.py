"""
Checks of a configuration's single settings before anything is derived from them: a file from the Hub may hold
anything, and what passes must build. Each takes time linear in its input and raises ValueError with the name of the
setting.
"""

import reprlib
from collections.abc import Collection, Mapping
from typing import Any


MAX_SIZE = 10**15
MAX_KERNEL = 10_001
MAX_LABELS = 1_000_000
MAX_DEPTH = 20

# name: (least, most), both allowed; None where a setting may be left out is allowed as well
RANGES = {
    "hidden_dropout_prob": (0, 1),
    "attention_probs_dropout_prob": (0, 1),
    "classifier_dropout": (0, 1),
    "layer_norm_eps": (0, 1),
    "initializer_range": (0, 1000),
    "type_vocab_size": (0, MAX_SIZE),
    "qkv_conv_size": (0, MAX_KERNEL),
}
CHOICES = {
    "problem_type": ("regression", "single_label_classification", "multi_label_classification"),
    "output_hidden_states": (False, True),
    "return_dict": (False, True),
    "is_encoder_decoder": (False, True),
}
FLOATS = ("float16", "bfloat16", "float32", "float64")

# Attributes of the class that a file may set although they are no fields; transformers writes them, or reads them.
WRITABLE = {"_attn_implementation", "_experts_implementation", "allow_global_per_layer_attribute_access", "model_type"}
WRITABLE |= {"name_or_path", "num_labels", "output_attentions", "per_layer_config", "torch_dtype"}
WRITABLE |= {"serialize_explicit_per_layer_config"}
# What transformers reads in configurations of composite networks, rotary positions and experts.
FOREIGN = ("decoder", "generator", "text_config", "text_encoder", "rope_parameters", "mlp_layer_types")


def refuse_bad_size(name: str, value: object) -> None:
    """Sizes are positive integers; None is one that is derived from others."""
    most = MAX_KERNEL if name.endswith("conv_kernel_size") else MAX_SIZE
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most):
        raise ValueError(f"{name} must be a positive integer of at most {most:,}, got {reprlib.repr(value)}.")


def refuse_bad_values(values: Mapping[str, Any]) -> None:
    """Numbers out of range (nan is out of every range), unknown choices, labels and types that cannot be built."""
    for name, (least, most) in RANGES.items():
        value = values[name]
        if value is not None and not least <= value <= most:
            raise ValueError(f"{name} must lie between {least} and {most:,}, got {value!r}.")
    for name, choices in CHOICES.items():
        if values[name] is not None and values[name] not in choices:
            raise ValueError(f"{name} must be one of {list(choices)}, got {reprlib.repr(values[name])}.")
    pad, words = values["pad_token_id"], values["vocab_size"]
    if pad is not None and not 0 <= pad < words:
        raise ValueError(f"pad_token_id must be None or a token of the vocabulary, 0 to {words - 1}, got {pad}.")
    refuse_bad_dtype(values["dtype"])
    refuse_bad_labels(values["id2label"], values["label2id"])
    names = values["architectures"]
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f"architectures must be a list of class names, got {reprlib.repr(names)}.")


def refuse_bad_dtype(value: object) -> None:
    if value is not None and str(value).removeprefix("torch.") not in FLOATS:
        raise ValueError(f"dtype must be one of {', '.join(FLOATS)}, got {reprlib.repr(value)}.")


def refuse_bad_labels(id2label: object, label2id: object) -> None:
    if label2id is not None and not isinstance(label2id, dict):
        raise ValueError(f"label2id must map labels to numbers, got {reprlib.repr(label2id)}.")
    if id2label is None:
        return
    if not isinstance(id2label, dict) or not id2label or not all(map(_is_number, id2label)):
        raise ValueError(f"id2label must map at least one number to a label, got {reprlib.repr(id2label)}.")


def _is_number(key: object) -> bool:
    return str(key).isdecimal() and len(str(key)) < 10


def refuse_bad_extras(extras: Mapping[str, Any], attributes: Collection[str]) -> None:
    """
    Settings that are no fields. transformers keeps them as attributes, so that one with the name of a method or of a
    limit in `attributes` would take its place.
    """
    for name in extras:
        if name.startswith("__") or (name in attributes and name not in WRITABLE):
            raise ValueError(f"{reprlib.repr(name)} is no setting of a configuration: take it out of the file.")
    if foreign := [name for name in FOREIGN if extras.get(name) is not None]:
        raise ValueError(f"{foreign[0]!r} is a setting of other kinds of networks: take it out of the file.")
    number = extras.get("num_labels")
    if number is not None and (not isinstance(number, int) or not 1 <= number <= MAX_LABELS):
        raise ValueError(f"num_labels must be an integer from 1 to {MAX_LABELS:,}, got {reprlib.repr(number)}.")
    refuse_bad_dtype(extras.get("torch_dtype"))
    if not isinstance(extras.get("auto_map") or {}, dict):
        raise ValueError(f"auto_map must map Auto classes to classes, got {reprlib.repr(extras['auto_map'])}.")


def refuse_deep(settings: Mapping[str, Any]) -> None:
    """Nested lists and dictionaries that would exceed Python's recursion limit wherever they are copied or printed."""
    level: list[Any] = list(settings.values())
    for _ in range(MAX_DEPTH):
        level = [inner for value in level if isinstance(value, list | tuple | dict) for inner in _inside(value)]
        if not level:
            return
    raise ValueError(f"A setting is nested deeper than {MAX_DEPTH} lists or dictionaries.")


def _inside(value: Any) -> Collection[Any]:  # noqa: ANN401
    return value.values() if isinstance(value, dict) else value
