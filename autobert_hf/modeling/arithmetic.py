"""Parameters and FLOPs of a network from its configuration alone; nothing is built."""

from typing import TYPE_CHECKING

from .formula import Formula
from .formula_primitives import FEATURES, INPUTS, PRIMITIVES, TOKENS
from .graph import Graph, types


if TYPE_CHECKING:
    from .configuration_autobert import AutoBertConfig


def linear(width_in: int, width_out: int) -> int:
    return width_in * width_out + width_out


def resize(width_in: int, width_out: int) -> int:
    return linear(width_in, width_out) if width_in != width_out else 0


def norm(config: "AutoBertConfig", width: int) -> int:
    return width if config.norm_type == "rms_norm" else 2 * width


def count_parameters(config: "AutoBertConfig", head: str = "model") -> int:
    """
    Parameters of `AutoBertModel` without pooler (`head="model"`), with it (`"pooler"`), or of
    `AutoBertForMaskedLM` (`"masked_lm"`, a tied matrix counted once).
    """
    size, hidden = config.embedding_size, config.hidden_size
    total = (config.vocab_size + config.max_position_embeddings + config.type_vocab_size) * size
    total += norm(config, size) if config.embedding_norm else 0
    total += count_encoder_parameters(config)
    if head == "pooler":
        total += linear(hidden, hidden)
    if head == "masked_lm":
        total += linear(hidden, size) + norm(config, size) + config.vocab_size
        total += 0 if config.tie_word_embeddings else config.vocab_size * size
    return total


def count_encoder_parameters(config: "AutoBertConfig") -> int:
    """Parameters without the embeddings and heads."""
    total, width = 0, config.embedding_size
    for kind, layer in config.layers():
        total += resize(width, layer.layer_width) + _layer_parameters(kind, layer)
        width = layer.layer_width
    total += resize(width, config.hidden_size)
    return total + (norm(config, config.hidden_size) if config.final_norm else 0)


def _layer_parameters(kind: str, layer: "AutoBertConfig") -> int:
    width, total = layer.layer_width, 0
    if "mixer" not in layer.skip:
        total += _convolution_parameters(layer) if kind == "conv" else _attention_parameters(layer)
        total += norm(layer, width)
    if "feed_forward" not in layer.skip:
        inner = layer.intermediate_size
        total += linear(width, inner) * (2 if layer.gated_ffn else 1) + linear(inner, width) + norm(layer, width)
    return total


def _convolution_parameters(layer: "AutoBertConfig") -> int:
    width, kernel = layer.layer_width, layer.conv_kernel_size
    if layer.conv_type == "lightweight":
        return linear(width, 2 * width) + layer.conv_num_heads * kernel + linear(width, width)
    return width * kernel + linear(width, width)


def _attention_parameters(layer: "AutoBertConfig") -> int:
    inner = layer.num_attention_heads * layer.head_dim
    inputs = len(Formula(layer.attention_formula).inputs)
    return inputs * (linear(layer.layer_width, inner) + inner * layer.qkv_conv_size) + linear(inner, layer.layer_width)


def count_flops(config: "AutoBertConfig", length: int = 128, batch: int = 1) -> int:
    """
    FLOPs of one forward pass of `AutoBertModel` without pooler: two for each multiply-add in linear maps, matrix
    products and convolutions, nothing for what works element by element (as `torch.utils.flop_counter` counts).
    """
    total, width = 0, config.embedding_size
    for kind, layer in config.layers():
        total += _resize_flops(width, layer.layer_width, length) + _layer_flops(kind, layer, length)
        width = layer.layer_width
    return batch * (total + _resize_flops(width, config.hidden_size, length))


def _resize_flops(width_in: int, width_out: int, length: int) -> int:
    return 2 * length * width_in * width_out if width_in != width_out else 0


def _layer_flops(kind: str, layer: "AutoBertConfig", length: int) -> int:
    width, total = layer.layer_width, 0
    if "mixer" not in layer.skip:
        total += _convolution_flops(layer, length) if kind == "conv" else _attention_flops(layer, length)
    if "feed_forward" not in layer.skip:
        total += 2 * length * width * layer.intermediate_size * (3 if layer.gated_ffn else 2)
    return total


def _convolution_flops(layer: "AutoBertConfig", length: int) -> int:
    width = layer.layer_width
    maps = 3 if layer.conv_type == "lightweight" else 1
    return 2 * length * (maps * width * width + width * layer.conv_kernel_size)


def _attention_flops(layer: "AutoBertConfig", length: int) -> int:
    formula = Formula(layer.attention_formula)
    inner, inputs = layer.num_attention_heads * layer.head_dim, len(formula.inputs)
    total = 2 * length * inner * ((inputs + 1) * layer.layer_width + inputs * layer.qkv_conv_size)
    return total + layer.num_attention_heads * _formula_flops(formula.graph, length, layer.head_dim)


def _formula_flops(graph: Graph, length: int, head_dim: int) -> int:
    """Of one head: every matrix product, and the pairwise primitives that are built on one."""
    size = {TOKENS: length, FEATURES: head_dim}
    shapes = types(graph.nodes, PRIMITIVES, INPUTS)
    total = 0
    for name, args in graph.nodes:
        if name in ("matmul", "cosine", "euclidean"):
            (rows, inner), right = shapes[args[0]], shapes[args[1]]
            columns = right[1] if name == "matmul" else right[0]
            total += 2 * size[rows] * size[inner] * size[columns]
    return total
