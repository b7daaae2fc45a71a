"""Published architectures as settings of `AutoBertConfig`, each beside the figures that its paper prints."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class ZooEntry:
    """
    One published row. The paper's figures stand as printed, parameters in millions, or None. `head` is what its
    parameters seem to count (see `count_parameters`). `note` says why ours differ and what the paper leaves open.
    """

    settings: dict[str, Any]
    paper_parameters: float | None
    paper_flops: float | None
    source: str
    note: str
    head: str = "pooler"


def zoo_settings(name: str) -> dict[str, Any]:
    """The keyword arguments of `AutoBertConfig` for a published architecture. ValueError for an unknown name."""
    if name not in ZOO:
        close = get_close_matches(str(name).lower(), ZOO)
        guess = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(f"The zoo has no architecture {name!r}: {guess}`autobert zoo` lists all.")
    return deepcopy(ZOO[name].settings)


def _bert(layers: int, hidden_size: int) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden_size,
        "num_attention_heads": hidden_size // 64,
        "intermediate_size": 4 * hidden_size,
    }


# Figure 7 of the paper from bottom to top, in pairs of a convolution (its kernel) and an attention (its formula). The
# first attention has softplus(k) = log(1 + exp(k)); the next three lack the inner neg, so they are softplus(-z). What
# the figure labels sqrt is k / sqrt(d), as in the paper's equation.
_AUTOBERT_ZERO = (
    (65, "softmax(q @ softplus(k).T / sqrt(d)) @ (k + q)"),
    (9, "z = logsigmoid(q) + (q + k); softmax(q @ (-logsigmoid(z)).T / sqrt(d)) @ q"),
    (3, "softmax(q @ (-logsigmoid(k)).T / sqrt(d)) @ q"),
    (7, "softmax(q @ (-logsigmoid(k)).T / sqrt(d)) @ q"),
    (7, "z = k / sqrt(d) + softsign(softsign(k) / sqrt(d)) + v; softmax(q @ z.T / sqrt(d)) @ v"),
    (3, "softmax(q @ (k / sqrt(d) + v).T / sqrt(d)) @ v"),
)


def _autobert_zero(hidden_size: int, repeat: int = 1) -> dict[str, Any]:
    """Each pair of layers stands `repeat` times in a row: that is how the paper makes the large model."""
    per_layer: list[dict[str, Any]] = []
    for kernel, formula in (pair for pair in _AUTOBERT_ZERO for _ in range(repeat)):
        per_layer += [{"conv_kernel_size": kernel}, {"attention_formula": formula}]
    return _bert(len(per_layer), hidden_size) | {
        "layer_types": ["conv", "full_attention"] * (len(per_layer) // 2),
        "per_layer_config": dict(enumerate(per_layer)),
    }


def _autotinybert(layers: int, hidden_size: int, inner: int, heads: int, qkv: int) -> dict[str, Any]:
    """A row l-d_m-d_f-h-d_qkv of the paper: the width of the attention does not follow hidden_size."""
    sizes = {"num_attention_heads": heads, "head_dim": qkv // heads, "intermediate_size": inner}
    return {"num_hidden_layers": layers, "hidden_size": hidden_size} | sizes


def _autodistil(layers: int, hidden_size: int, ratio: float, heads: int) -> dict[str, Any]:
    return _autotinybert(layers, hidden_size, int(ratio * hidden_size), heads, 64 * heads)


def _operation(name: str, width: int) -> dict[str, Any]:
    """M8: attention of 8 heads over the whole width; F2048: feed-forward; S3: separable convolution with 3 taps."""
    kind, size = name[0], int(name[1:])
    if kind == "F":
        return {"skip": ["mixer"], "intermediate_size": size}
    mixer = {"num_attention_heads": size, "head_dim": width // size} if kind == "M" else {"conv_kernel_size": size}
    return {"skip": ["feed_forward"]} | mixer


def _chain(operations: Sequence[str], widths: Sequence[int]) -> dict[str, Any]:
    """One layer per operation, which skips its other half; hidden_size is the width of the last one."""
    per_layer = {i: _operation(name, width) for i, (name, width) in enumerate(zip(operations, widths, strict=True))}
    for i, width in enumerate(widths):
        per_layer[i] |= {"layer_width": width} if width != widths[-1] else {}
    return {
        "hidden_size": widths[-1],
        "num_hidden_layers": len(operations),
        "conv_type": "separable",
        "layer_types": ["conv" if name[0] == "S" else "full_attention" for name in operations],
        "per_layer_config": per_layer,
    }


# Table 10: parameters in millions -> embedding_size, FLOPs (Table 2), blocks of one width each.
_NAS_BERT: dict[int, tuple[int, float | None, dict[int, str] | list[tuple[int, str]]]] = {}


_DECODER = {
    "is_decoder": True,
    "norm_position": "pre",
    "final_norm": True,
    "embedding_norm": False,
    "type_vocab_size": 0,
    "pad_token_id": None,
}


def _primer(hidden_size: int, inner: int, norm_position: str) -> dict[str, Any]:
    return _DECODER | {
        "vocab_size": 32000,
        "num_hidden_layers": 6,
        "hidden_size": hidden_size,
        "num_attention_heads": 8,
        "intermediate_size": inner,
        "hidden_act": "relu2",
        "layer_types": ["hybrid"] * 6,
        "qkv_conv_size": 3,
        "norm_position": norm_position,
    }


def _lts(hidden_size: int, *layers: tuple[int, int]) -> dict[str, Any]:
    """Layers as (d_inner, heads); however many heads, together they are as wide as the model."""
    sizes = {"vocab_size": 50257, "max_position_embeddings": 192, "hidden_size": hidden_size, "hidden_act": "gelu_new"}
    per_layer = {
        i: {"intermediate_size": inner, "num_attention_heads": heads, "head_dim": hidden_size // heads}
        for i, (inner, heads) in enumerate(layers)
    }
    return _DECODER | sizes | {"num_hidden_layers": len(layers), "per_layer_config": per_layer}


# Where the figures come from, and what is common to the rows of one paper.
_TURC = "Well-Read Students Learn Better, Turc et al., 2019"
_GAO = "AutoBERT-Zero, Gao et al., 2021, Figure 7"
_YIN = "AutoTinyBERT, Yin et al., 2021"
_XU = "NAS-BERT, Xu et al., 2021, Table 10"
_MAGIC = "MAGIC, Xu et al., 2022"
_AUTODISTIL = "AutoDistil, Xu et al., 2022"
_SO = "Primer, So et al., 2021"

_PRETRAINING = "The paper counts both heads of pre-training."
_ONE_HOT = "The paper's FLOPs are Gao et al.'s, with embedding look-ups as products with one-hot vectors, as ELECTRA's."
_HYBRID = (
    "The paper's FLOPs save three times what its own convolutions and two-projection attentions save by our count; "
    "the paper does not say how it counts. Taps are shared in as many groups as there are heads."
)
_MULTIPLY_ADDS = "The paper's FLOPs are multiply-adds, half of ours."
_COUNTED = "The figures are from AutoDistil's table, whose FLOPs are multiply-adds; how it counts is not said."
_FORMULA = f"The figures follow from a formula with attention hidden_size * heads / 12 wide; it is 64 * heads wide. {_MULTIPLY_ADDS}"
_TARGET = (
    "The figure is the search's target; an output matrix of its own would bring ours to within 5 M of it. No token "
    "types. The layout of the separable convolution is not printed."
)
_LOOKUPS = f"{_TARGET} The paper's FLOPs include embedding look-ups as products with one-hot vectors."
_OPERATIONS = "No found network is printed: the operation set, cycled. Hidden size and inner widths are ours."
_LM1B = "35 M is a round figure. The vocabulary of 32,000 and learned positions are ours, as is the head's dense layer."

ZOO: dict[str, ZooEntry] = {
    "bert-tiny": ZooEntry(_bert(2, 128), 4.4, None, _TURC, _PRETRAINING, "pre_training"),
    "bert-mini": ZooEntry(_bert(4, 256), 11.3, None, _TURC, _PRETRAINING, "pre_training"),
    "bert-small": ZooEntry(_bert(4, 512), 29.1, None, _TURC, _PRETRAINING, "pre_training"),
    "bert-medium": ZooEntry(_bert(8, 512), 41.7, None, _TURC, _PRETRAINING, "pre_training"),
    "bert-base": ZooEntry(_bert(12, 768), 110.1, 2.9e10, _TURC, f"{_PRETRAINING} {_ONE_HOT}", "pre_training"),
    "bert-large": ZooEntry(
        _bert(24, 1024), 340, 8.7e10, "BERT, Devlin et al., 2018", f"340 M is a round figure. {_ONE_HOT}", "pre_training"
    ),
    "autobert-zero-small": ZooEntry(
        _autobert_zero(256), None, None, _GAO, "The base model's structure at BERT-small's width."
    ),
    "autobert-zero-base": ZooEntry(_autobert_zero(768), 104, 2.3e10, _GAO, _HYBRID),
    "autobert-zero-large": ZooEntry(
        _autobert_zero(1024, repeat=2), 318, 6.8e10, _GAO, f"Relative to BERT-large as 340 M, which has 335 M. {_HYBRID}"
    ),
    "autotinybert-s1": ZooEntry(_autotinybert(5, 564, 1054, 8, 512), None, None, _YIN, ""),
    "autotinybert-s2": ZooEntry(_autotinybert(4, 396, 624, 6, 384), None, None, _YIN, ""),
    "autotinybert-s3": ZooEntry(_autotinybert(4, 432, 384, 4, 256), None, None, _YIN, ""),
    "autotinybert-s4": ZooEntry(_autotinybert(3, 320, 608, 4, 256), None, None, _YIN, ""),
    "autotinybert-kd-s1": ZooEntry(_autotinybert(5, 564, 1024, 12, 528), 30.0, 1.69e9, _YIN, _COUNTED),
    "autotinybert-kd-s2": ZooEntry(_autotinybert(5, 324, 600, 12, 324), None, None, _YIN, ""),
    "autotinybert-kd-s3": ZooEntry(_autotinybert(5, 280, 512, 12, 276), None, None, _YIN, ""),
    "autotinybert-kd-s4": ZooEntry(_autotinybert(4, 256, 480, 12, 192), 10.1, 3.0e8, _YIN, _COUNTED),
}
