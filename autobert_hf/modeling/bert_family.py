"""
Encoders that are BERT under another name, rewritten as BERT: RoBERTa and its kind, ELECTRA without a factorized
embedding, DistilBERT. Text is padded on the right, where all of them count positions alike.
"""

import torch
from transformers import BertConfig, BertModel, PreTrainedConfig, PreTrainedModel

from .convert import SHARED, ConversionError, load_all


# Models whose positions start after the id of the padding token.
SHIFTED = ("roberta", "xlm-roberta", "camembert")
ALSO_SHIFTED = ("data2vec-text", "ibert", "longformer", "luke", "roberta-prelayernorm", "xlm-roberta-xl", "xmod")
RELATIVES = (*SHIFTED, "electra", "distilbert")
# DistilBERT's names and BERT's.
SETTINGS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
NAMES = {
    "transformer.layer.": "encoder.layer.",
    "attention.q_lin.": "attention.self.query.",
    "attention.k_lin.": "attention.self.key.",
    "attention.v_lin.": "attention.self.value.",
    "attention.out_lin.": "attention.output.dense.",
    "sa_layer_norm.": "attention.output.LayerNorm.",
    "ffn.lin1.": "intermediate.dense.",
    "ffn.lin2.": "output.dense.",
    "output_layer_norm.": "output.LayerNorm.",
}


def as_bert_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """A relative's configuration as BERT's, else unchanged. ConversionError for embeddings narrower than layers."""
    kind = config.model_type
    if kind not in RELATIVES:
        return config
    if kind == "electra" and config.embedding_size != config.hidden_size:
        raise ConversionError(
            f"This ELECTRA's embeddings have {config.embedding_size} features, its layers {config.hidden_size}: "
            "BERT's have equally many."
        )
    known = config.to_dict()
    found = {name: known[own] for name in SHARED if (own := _own_name(kind, name)) in known}
    if kind == "distilbert":
        found |= {"type_vocab_size": 1, "layer_norm_eps": 1e-12}
    return BertConfig(**found | {"max_position_embeddings": config.max_position_embeddings - _shift(config)})


def as_bert(model: PreTrainedModel) -> PreTrainedModel:
    """A bare encoder without pooler, with equal precision and outputs."""
    config = as_bert_config(model.config)
    if config is model.config:
        return model
    state = {_bert_name(name): value for name, value in model.state_dict().items() if not name.startswith("pooler.")}
    positions = "embeddings.position_embeddings.weight"
    state[positions] = state[positions][_shift(model.config) :]
    if model.config.model_type == "distilbert":
        state["embeddings.token_type_embeddings.weight"] = torch.zeros(1, config.hidden_size)
    assert isinstance(config, BertConfig)
    bert = BertModel(config, add_pooling_layer=False)
    bert.to(model.dtype)  # type: ignore[arg-type]  # a decorator of transformers hides the method
    load_all(bert, state)
    return bert.eval()


def longest_input(config: PreTrainedConfig) -> int | None:
    """The most tokens that an encoder reads, fewer than `max_position_embeddings` where positions are shifted."""
    positions = getattr(config, "max_position_embeddings", None)
    return None if positions is None else positions - _shift(config)


def _shift(config: PreTrainedConfig) -> int:
    if config.model_type == "mpnet":  # whatever its configuration says
        return 2
    return config.pad_token_id + 1 if config.model_type in (*SHIFTED, *ALSO_SHIFTED) else 0


def _own_name(kind: str, name: str) -> str:
    return SETTINGS.get(name, name) if kind == "distilbert" else name


def _bert_name(name: str) -> str:
    for own, bert in NAMES.items():
        name = name.replace(own, bert)
    return name
