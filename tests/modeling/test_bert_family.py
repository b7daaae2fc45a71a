"""BERT's relatives rewritten as BERT: what supernets can begin with."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from autobert_hf.modeling.bert_family import as_bert, as_bert_config
from autobert_hf.modeling.convert import ConversionError, from_bert


SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_act": "relu",
    "max_position_embeddings": 24,
}
SHORT = {
    "vocab_size": 50,
    "dim": 16,
    "n_layers": 3,
    "n_heads": 2,
    "hidden_dim": 24,
    "activation": "relu",
    "max_position_embeddings": 24,
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (RobertaModel, RobertaConfig(**SIZES, layer_norm_eps=1e-5)),
        (XLMRobertaModel, XLMRobertaConfig(**SIZES)),
        (CamembertModel, CamembertConfig(**SIZES)),
        (ElectraModel, ElectraConfig(**SIZES, embedding_size=16)),
        (DistilBertModel, DistilBertConfig(**SHORT)),
        (BertModel, BertConfig(**SIZES)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_outputs_are_equal(kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ids = torch.randint(5, 50, (2, 20))
    mask = torch.ones_like(ids)
    ids[1, 12:], mask[1, 12:] = config.pad_token_id, 0
    ours = from_bert(as_bert(model))
    with torch.no_grad():
        theirs, own = (one(input_ids=ids, attention_mask=mask).last_hidden_state for one in (model, ours))
    torch.testing.assert_close(own[mask.bool()], theirs[mask.bool()], atol=1e-5, rtol=1e-4)
    assert own[0].std() > 0.1


def test_strangers_stay_as_they_are():
    model = BertModel(BertConfig(**SIZES))
    assert as_bert(model) is model
    assert as_bert_config(model.config) is model.config


def test_a_factorized_electra_is_refused_by_its_widths():
    with pytest.raises(ConversionError, match="embeddings have 8 features, its layers 16"):
        as_bert_config(ElectraConfig(**SIZES, embedding_size=8))
