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


_TURC = "Well-Read Students Learn Better, Turc et al., 2019"
_GAO = "AutoBERT-Zero, Gao et al., 2021, Figure 7"
_YIN = "AutoTinyBERT, Yin et al., 2021"
_MAGIC = "MAGIC, Xu et al., 2022"
_DISTIL = "AutoDistil, Xu et al., 2022"
_SO = "Primer, So et al., 2021"

_ONE_HOT = "The FLOPs, printed by Gao et al., count embedding look-ups as one-hot products."
_HYBRID = (
    "The paper's FLOPs lie three times as far below BERT's as ours do; how it counts convolutions is not said. Ours "
    "share their taps in as many groups as there are heads, which it leaves open."
)
_LARGE = f"22 M below the round 340 M for BERT-large, which has 335 M. {_HYBRID}"
_QUOTED = "The figures are those of AutoDistil's table, whose FLOPs are multiply-adds; what else differs is not known."
_NARROW = (
    "The paper's figures follow from an attention hidden_size * heads / 12 wide, and its FLOPs are multiply-adds; its "
    "released modules are 64 * heads wide, as ours."
)
_TARGET = (
    "The parameters are a target of the search; with an output matrix of its own ours is within 5 M of it. The FLOPs "
    "count embedding look-ups as one-hot products. The inside of the separable convolution is not printed, it has the "
    "H^2 + K H parameters of the text here; the FLOPs suggest a second linear map. No token types: no sentence pairs. "
    "One kernel of the 25 M row is not legible to us and set to 3."
)
_OPERATIONS = "No found network is printed: the operations, repeated. Hidden size and inner widths are our choice."
_LM1B = (
    "A round figure. The vocabulary of 32,000 and the learned positions are our choice; the prediction head is BERT's "
    "with its dense layer."
)
_PRIMER = f"{_LM1B} Without the map from keys to queries, which the paper finds to hurt."
_LTS = (
    "Of the released GPT-2 fronts on LM1B, one a device: the fastest point, the median by latency, and the one of "
    "lowest perplexity. The decoder's parameters are theirs exactly. Word embeddings are plain and tied here, with "
    "their 50,264 tokens; theirs are adaptive (divisor 4), which is why totals differ. The Transformer-XL fronts are "
    "left out, because no configuration here has relative positions with a map and two biases in each layer, or the "
    "memory of the previous segment."
)
_OFF_GRID = "Its width is off the grid of steps of 4 that the paper states."


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


# Table 10; the FLOPs stand in Table 2.
def _nas_bert(size: int, flops: float | None, embedding_size: int, *blocks: tuple[int, str]) -> ZooEntry:
    """Blocks as (width, operations); heads are 64 wide, the inner width of F is four times the block's."""
    operations, widths = [], []
    for width, names in blocks:
        operations += names.replace("M", f"M{width // 64}").replace("F", f"F{4 * width}").split()
        widths += [width] * len(names.split())
    settings = _chain(operations, widths) | {"embedding_size": embedding_size, "type_vocab_size": 0}
    return ZooEntry(settings, size, flops, "NAS-BERT, Xu et al., 2021, Table 10", _TARGET)


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


def _lts(hidden_size: int, *layers: tuple[int, int]) -> ZooEntry:
    """Layers as (d_inner, heads); however many heads, together they are as wide as the model."""
    sizes = {"vocab_size": 50264, "max_position_embeddings": 192, "hidden_size": hidden_size, "hidden_act": "gelu_new"}
    per_layer = {
        i: {"intermediate_size": inner, "num_attention_heads": heads, "head_dim": hidden_size // heads}
        for i, (inner, heads) in enumerate(layers)
    }
    settings = _DECODER | sizes | {"num_hidden_layers": len(layers), "per_layer_config": per_layer}
    return ZooEntry(settings, None, None, "LiteTransformerSearch, Javaheripi et al., 2022", _LTS, "causal_lm")


ZOO: dict[str, ZooEntry] = {
    "bert-tiny": ZooEntry(_bert(2, 128), 4.4, None, _TURC, "", "pre_training"),
    "bert-mini": ZooEntry(_bert(4, 256), 11.3, None, _TURC, "", "pre_training"),
    "bert-small": ZooEntry(_bert(4, 512), 29.1, None, _TURC, "", "pre_training"),
    "bert-medium": ZooEntry(_bert(8, 512), 41.7, None, _TURC, "", "pre_training"),
    "bert-base": ZooEntry(_bert(12, 768), 110.1, 2.9e10, _TURC, _ONE_HOT, "pre_training"),
    "bert-large": ZooEntry(
        _bert(24, 1024), 340, 8.7e10, "BERT, Devlin et al., 2018", f"A round figure. {_ONE_HOT}", "pre_training"
    ),
    "autobert-zero-small": ZooEntry(_autobert_zero(256), None, None, _GAO, ""),
    "autobert-zero-base": ZooEntry(_autobert_zero(768), 104, 2.3e10, _GAO, _HYBRID),
    "autobert-zero-large": ZooEntry(_autobert_zero(1024, repeat=2), 318, 6.8e10, _GAO, _LARGE),
    "autotinybert-s1": ZooEntry(_autotinybert(5, 564, 1054, 8, 512), None, None, _YIN, ""),
    "autotinybert-s2": ZooEntry(_autotinybert(4, 396, 624, 6, 384), None, None, _YIN, ""),
    "autotinybert-s3": ZooEntry(_autotinybert(4, 432, 384, 4, 256), None, None, _YIN, ""),
    "autotinybert-s4": ZooEntry(_autotinybert(3, 320, 608, 4, 256), None, None, _YIN, ""),
    "autotinybert-s5": ZooEntry(_autotinybert(5, 450, 636, 6, 384), None, None, _YIN, _OFF_GRID),
    "autotinybert-fast-s5": ZooEntry(_autotinybert(5, 432, 720, 6, 384), None, None, _YIN, ""),
    "autotinybert-kd-s1": ZooEntry(_autotinybert(5, 564, 1024, 12, 528), 30.0, 1.69e9, _YIN, _QUOTED),
    "autotinybert-kd-s2": ZooEntry(_autotinybert(5, 324, 600, 12, 324), None, None, _YIN, ""),
    "autotinybert-kd-s3": ZooEntry(_autotinybert(5, 280, 512, 12, 276), None, None, _YIN, ""),
    "autotinybert-kd-s4": ZooEntry(_autotinybert(4, 256, 480, 12, 192), 10.1, 3.0e8, _YIN, _QUOTED),
    "nas-bert-60m": _nas_bert(60, 1.3e10, 512, (512, "S3 M M S7 F F F M M S7 F F M S5 M F S3 F M M S5 F F F")),
    "nas-bert-55m": _nas_bert(55, None, 512, (512, "F S5 M F M F S7 M S7 M F S5 S3 M S5 S5 F F F M M S5 F")),
    "nas-bert-50m": _nas_bert(50, None, 384, (512, "F S5 M F S5 F S7 M S7 F F S3 M S5 S7 F M F M S5 M F")),
    "nas-bert-45m": _nas_bert(45, None, 384, (512, "S3 M S7 F S5 F S7 M S7 M F S7 S3 M S7 S3 F M F M S3 S7 F")),
    "nas-bert-40m": _nas_bert(40, None, 384, (512, "S3 M S5 M S5 F S5 M S7 F F S3 M S5 S5 S3 F S7 M M F")),
    "nas-bert-35m": _nas_bert(35, None, 256, (512, "S3 S7 M S7 S3 F M S5 S7 S5 S3 M S5 S5 S3 F S7 M M F")),
    "nas-bert-30m": _nas_bert(30, 7.0e9, 256, (512, "S3 M S5 S7 F S5 M S7 S5 F S3 S5 M F S3 S7 M S3 F S5")),
    # The third S of the second part is the illegible one.
    "nas-bert-25m": _nas_bert(25, None, 256, (384, "S3 M S5 S3 S3 S5"), (512, "S7 S5 M F F M S3 M M F")),
    "nas-bert-20m": _nas_bert(20, None, 128, (384, "S3 M S5 S3 S3 S5"), (512, "M F F M"), (384, "S3 S5 M S5 S3 S5")),
    "nas-bert-15m": _nas_bert(
        15, None, 128, (384, "S3 M S5 S3 S3 S5 S5 S5 M S5 S5 S7 M S5 S5 S5 S5 S5 S3 S5 M S5 S3 S5")
    ),
    "nas-bert-10m": _nas_bert(10, 2.3e9, 128, (384, "S3 S5 M S3 S5 M S7 M S3 S7 M S3")),
    "nas-bert-5m": _nas_bert(5, 8.7e8, 64, (192, "S3 S7 M S7 S7 M S3 M S7 S5 M S3")),
    "magic-analysis": ZooEntry(
        _chain(["M6", "M8", "F1536", "F2048", "S3", "S5"] * 2, [768] * 12), None, None, _MAGIC, _OPERATIONS
    ),
    "magic-base": ZooEntry(_chain(["M12", "F3072", "S3", "S5"] * 6, [768] * 24), None, None, _MAGIC, _OPERATIONS),
    "autodistil-agnostic": ZooEntry(_autodistil(11, 352, 4, 10), 26.8, 2.13e9, _DISTIL, _NARROW),
    "autodistil-proxy-b": ZooEntry(_autodistil(12, 544, 3, 9), 50.1, 4.40e9, _DISTIL, _NARROW),
    "autodistil-proxy-s": ZooEntry(_autodistil(11, 352, 4, 8), 26.1, 2.02e9, _DISTIL, _NARROW),
    "autodistil-proxy-t": ZooEntry(_autodistil(7, 160, 3.5, 10), 6.88, 2.7e8, _DISTIL, _NARROW),
    "primer-ez": ZooEntry(_primer(512, 2048, "pre"), 35, None, _SO, _LM1B, "causal_lm"),
    "primer": ZooEntry(_primer(384, 4608, "primer"), 35, None, _SO, _PRIMER, "causal_lm"),
    "lts-gpt2-corei7-fastest": _lts(384, (3840, 2), (2432, 2)),
    "lts-gpt2-corei7-median": _lts(960, (3968, 2), (3456, 2), (3584, 2), (3136, 4)),
    "lts-gpt2-corei7-best": _lts(
        960,
        (2176, 4),
        (4032, 2),
        (3264, 2),
        (3840, 4),
        (2688, 2),
        (1984, 4),
        (1728, 2),
        (2944, 2),
        (1920, 4),
        (2368, 4),
        (3840, 4),
    ),
    "lts-gpt2-titanxp-fastest": _lts(448, (3456, 2), (3776, 2)),
    "lts-gpt2-titanxp-median": _lts(960, (3584, 2), (3456, 2), (3776, 4), (2944, 2), (4032, 2)),
    "lts-gpt2-titanxp-best": _lts(
        960,
        (3840, 2),
        (2240, 4),
        (3328, 2),
        (3776, 2),
        (3648, 4),
        (3200, 2),
        (2944, 4),
        (2368, 2),
        (3968, 4),
        (2880, 8),
    ),
}
