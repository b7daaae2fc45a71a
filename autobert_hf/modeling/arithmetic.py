"""Parameters and FLOPs of a network from its configuration alone; nothing is built."""

from typing import TYPE_CHECKING

from .formula import Formula
from .formula_lowering import lower
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
    Parameters of `AutoBertModel` without pooler (`head="model"`), with it (`"pooler"`), or of a model for a task:
    `"masked_lm"`, `"causal_lm"`, `"pre_training"`, `"next_sentence_prediction"`, `"replaced_token_detection"`,
    `"sequence_classification"`, `"token_classification"`, `"question_answering"`, `"multiple_choice"`. A tied matrix
    counts once. ValueError for another head.
    """
    total = count_embedding_parameters(config) + (norm(config, config.embedding_size) if config.embedding_norm else 0)
    return total + count_encoder_parameters(config) + _head_parameters(config, head)


def _head_parameters(config: "AutoBertConfig", head: str) -> int:
    hidden, size = config.hidden_size, config.embedding_size
    words = linear(hidden, size) + norm(config, size) + config.vocab_size
    words += 0 if config.tie_word_embeddings else config.vocab_size * size
    pooler, labels = linear(hidden, hidden), config.num_labels or 0
    heads = {
        "model": 0,
        "pooler": pooler,
        "masked_lm": words,
        "causal_lm": words,
        "pre_training": words + pooler + linear(hidden, 2),
        "next_sentence_prediction": pooler + linear(hidden, 2),
        "replaced_token_detection": linear(hidden, hidden) + linear(hidden, 1),
        "sequence_classification": pooler + linear(hidden, labels),
        "token_classification": linear(hidden, labels),
        "question_answering": linear(hidden, 2),
        "multiple_choice": pooler + linear(hidden, 1),
    }
    if head not in heads:
        raise ValueError(f"There is no head {head!r}; count one of {', '.join(heads)}.")
    return heads[head]


def count_encoder_parameters(config: "AutoBertConfig") -> int:
    """Parameters without the embeddings and heads."""
    total, width = 0, config.embedding_size
    for kind, layer in config.layers():
        total += resize(width, layer.layer_width) + _layer_parameters(kind, layer)
        width = layer.layer_width
    total += resize(width, config.hidden_size)
    return total + (norm(config, config.hidden_size) if config.final_norm else 0)


def count_attention_parameters(config: "AutoBertConfig") -> int:
    """Parameters of the maps in attention layers and convolutions, without norms."""
    mixers = [(kind, layer) for kind, layer in config.layers() if "mixer" not in layer.skip]
    return sum(_mixer_parameters(kind, layer) for kind, layer in mixers)


def count_feed_forward_parameters(config: "AutoBertConfig") -> int:
    """Parameters of the feed-forward maps, without norms."""
    return sum(_feed_forward_parameters(layer) for _, layer in config.layers() if "feed_forward" not in layer.skip)


def count_embedding_parameters(config: "AutoBertConfig") -> int:
    """Parameters of the tables of words, positions and token types, without their norm."""
    return (config.vocab_size + config.max_position_embeddings + config.type_vocab_size) * config.embedding_size


def count_transformer_xl_parameters(config: "AutoBertConfig") -> int:
    """
    Decoder parameters of a Transformer-XL with the sizes of `config`, as LiteTransformerSearch counts them (Javaheripi
    et al., 2022, released code): attention maps without biases, a fifth map for relative positions and two bias
    vectors, 5 d a + 2 a (width d, heads x head size a), and no norm after the last layer. `count_encoder_parameters`
    counts 4 d a + 3 a + d and that norm instead, as our networks have absolute positions.
    """
    total = 0
    for _, layer in config.layers():
        width, attention = layer.layer_width, layer.num_attention_heads * layer.head_dim
        total += 5 * width * attention + 2 * attention + _feed_forward_parameters(layer) + 2 * norm(layer, width)
    return total


def _layer_parameters(kind: str, layer: "AutoBertConfig") -> int:
    width, total = layer.layer_width, 0
    if "mixer" not in layer.skip:
        total += _mixer_parameters(kind, layer) + norm(layer, width)
    if "feed_forward" not in layer.skip:
        total += _feed_forward_parameters(layer) + norm(layer, width)
    return total


def _feed_forward_parameters(layer: "AutoBertConfig") -> int:
    width, inner = layer.layer_width, layer.intermediate_size
    return linear(width, inner) * (2 if layer.gated_ffn else 1) + linear(inner, width)


def _mixer_parameters(kind: str, layer: "AutoBertConfig") -> int:
    return _convolution_parameters(layer) if kind == "conv" else _attention_parameters(layer)


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
    products and convolutions, nothing for what works element by element, as `torch.utils.flop_counter` counts.
    Distances (`euclidean`) count like a product, though that counter overlooks them.
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
    """FLOPs of one head, for the steps that run: with a lowered form, its steps and two matrix products."""
    size = {TOKENS: length, FEATURES: head_dim}
    lowering = lower(graph)
    nodes = graph.nodes if lowering is None else [(step.name, step.args) for step in lowering.steps]
    shapes = types(nodes, PRIMITIVES, INPUTS)
    total = 0 if lowering is None else 2 * 2 * length * length * head_dim
    for name, args in nodes:
        if name in ("matmul", "cosine", "euclidean"):
            (rows, inner), right = shapes[args[0]], shapes[args[1]]
            columns = right[1] if name == "matmul" else right[0]
            total += 2 * size[rows] * size[inner] * size[columns]
    return total
