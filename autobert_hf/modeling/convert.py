"""Encoder-only BERT checkpoints to AutoBert and back, with equal outputs and equal parameters."""

from collections.abc import Mapping
from typing import Any

import transformers
from torch import Tensor
from transformers import BertConfig, PreTrainedConfig, PreTrainedModel

from .canonical import canonicalize
from .configuration_autobert import AutoBertConfig
from .formula import STANDARD_ATTENTION
from .modeling_autobert import (
    AutoBertForMaskedLM,
    AutoBertForMultipleChoice,
    AutoBertForNextSentencePrediction,
    AutoBertForPreTraining,
    AutoBertForQuestionAnswering,
    AutoBertForSequenceClassification,
    AutoBertForTokenClassification,
    AutoBertModel,
)


class ConversionError(ValueError):
    """The checkpoint is not a plain BERT encoder, or the AutoBert network cannot be written as one."""


# Settings that mean the same in both configurations.
SHARED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
    "classifier_dropout",
    "tie_word_embeddings",
    "id2label",
    "label2id",
    "problem_type",
)
# BERT's names of modules and ours, inside a layer and outside; in this order, as some contain others.
LAYER_NAMES = {
    "attention.self.": "mixer.",
    "attention.output.dense.": "mixer.output.dense.",
    "attention.output.LayerNorm.": "mixer_norm.",
    "intermediate.dense.": "feed_forward.intermediate.",
    "output.dense.": "feed_forward.output.dense.",
    "output.LayerNorm.": "feed_forward_norm.",
}
OUTER_NAMES = {
    "bert.embeddings.LayerNorm.": "autobert.embeddings.norm.",
    "bert.": "autobert.",
    "cls.predictions.transform.dense.": "predictions.dense.",
    "cls.predictions.transform.LayerNorm.": "predictions.norm.",
    "cls.predictions.decoder.": "predictions.decoder.",
    "cls.seq_relationship.": "seq_relationship.",
}
HEADS: dict[str, type[PreTrainedModel]] = {
    "BertModel": AutoBertModel,
    "BertForMaskedLM": AutoBertForMaskedLM,
    "BertForPreTraining": AutoBertForPreTraining,
    "BertForNextSentencePrediction": AutoBertForNextSentencePrediction,
    "BertForSequenceClassification": AutoBertForSequenceClassification,
    "BertForTokenClassification": AutoBertForTokenClassification,
    "BertForQuestionAnswering": AutoBertForQuestionAnswering,
    "BertForMultipleChoice": AutoBertForMultipleChoice,
}


def from_bert_config(config: PreTrainedConfig) -> AutoBertConfig:
    """Raises ConversionError for decoders, cross-attention, relative positions and other model types."""
    if config.model_type != "bert":
        raise ConversionError(f"model_type is {config.model_type!r}: only 'bert' encoders can be converted.")
    if config.is_decoder or config.add_cross_attention:
        what = "cross-attention" if config.add_cross_attention else "a decoder"
        raise ConversionError(f"This BERT is {what}: only encoders can be converted.")
    positions = getattr(config, "position_embedding_type", "absolute")
    if positions != "absolute":
        raise ConversionError(f"position_embedding_type is {positions!r}: AutoBert has absolute positions only.")
    return AutoBertConfig(**{name: getattr(config, name) for name in SHARED})


def to_bert_config(config: AutoBertConfig) -> BertConfig:
    """Raises ConversionError that names the first property which a plain BERT cannot have."""
    if refusal := stock_refusal(config):
        raise ConversionError(f"This network is no plain BERT: {refusal}.")
    layer = config.per_layer_config[0]
    shared = {name: getattr(layer, name) for name in SHARED}
    # No field of BERT's: cards and pushes read it.
    mark: dict[str, Any] = {"untrained": True} if config.untrained else {}
    return BertConfig(**shared, **mark)


def stock_refusal(config: AutoBertConfig) -> str | None:
    """Why a configuration is not expressible as `bert`, or None."""
    wanted: dict[str, Any] = {"norm_type": "layer_norm", "norm_position": "post", "final_norm": False}
    wanted |= {"embedding_norm": True, "is_decoder": False, "embedding_size": config.hidden_size}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            return f"{name} is {getattr(config, name)!r}, not {value!r}"
    if config.type_vocab_size == 0:
        return "it has no token types"
    first = config.per_layer_config[0]
    alike = {name: getattr(first, name) for name in ("num_attention_heads", "intermediate_size", "hidden_act")}
    alike |= {"head_dim": config.hidden_size // first.num_attention_heads, "layer_width": config.hidden_size}
    alike |= {"gated_ffn": False, "attention_formula": STANDARD_ATTENTION}
    for index, (kind, layer) in enumerate(config.layers()):
        if kind != "full_attention":
            return f"layer {index} is {kind!r}"
        if layer.skip:
            return f"layer {index} skips its {' and '.join(layer.skip)}"
        for name, value in alike.items():
            if getattr(layer, name) != value:
                return f"layer {index} has {name} {getattr(layer, name)!r}, not {value!r}"
    if first.num_attention_heads * first.head_dim != config.hidden_size:
        return "the attention width differs from hidden_size"
    return None


def to_autobert_name(name: str) -> str:
    for old, new in OUTER_NAMES.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    else:
        name = name.replace("embeddings.LayerNorm.", "embeddings.norm.") if name.startswith("embeddings.") else name
    before, found, rest = name.partition("encoder.layer.")
    if not found:
        return name
    index, _, inner = rest.partition(".")
    old = next(old for old in LAYER_NAMES if inner.startswith(old))
    return f"{before}encoder.layers.{index}.{LAYER_NAMES[old]}{inner.removeprefix(old)}"


def from_bert(model: PreTrainedModel) -> PreTrainedModel:
    """The AutoBert model with the same head, weights, precision and outputs as a BERT model."""
    kind = type(model).__name__
    if kind not in HEADS:
        raise ConversionError(f"{kind} has no AutoBert counterpart; what has: {', '.join(HEADS)}.")
    config = from_bert_config(model.config)
    config.add_pooling_layer = model.base_model.pooler is not None
    ours = HEADS[kind](config)
    ours.to(model.dtype)  # type: ignore[arg-type]  # a decorator of transformers hides the method
    load_all(ours, {to_autobert_name(name): value for name, value in model.state_dict().items()})
    return ours.eval()


def to_bert(model: PreTrainedModel) -> PreTrainedModel:
    """
    The plain BERT with the same head, precision and outputs. The network is canonicalized first, so that skipped
    halves, heads and feed-forward widths that differ by layer are no obstacle where padding with zeros removes them.
    """
    name = type(model).__name__.removeprefix("Auto")
    if name not in HEADS:
        raise ConversionError(f"{type(model).__name__} has no BERT counterpart; what has: {', '.join(HEADS)}.")
    assert isinstance(model.config, AutoBertConfig)
    config, state = canonicalize(model.config, dict(model.state_dict()))
    bare = {"add_pooling_layer": config.add_pooling_layer} if name == "BertModel" else {}
    theirs = getattr(transformers, name)(to_bert_config(config), **bare)
    theirs.to(model.dtype)
    load_all(theirs, {bert: state[ours] for bert in theirs.state_dict() if (ours := to_autobert_name(bert)) in state})
    return theirs.eval()


def load_all(model: PreTrainedModel, state: Mapping[str, Tensor]) -> None:
    """Every weight from `state`; BERT's second name for the prediction bias has none of its own."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    lost = [name for name in missing if name != "cls.predictions.bias"]
    extra = [name for name in unexpected if name != "cls.predictions.bias"]
    if lost or extra:
        raise ConversionError(f"The weights do not fit: {lost} are missing and {extra} are left over.")
    model.tie_weights()
