"""PEFT's adapters on our networks, side by side with the same adapters on stock BERT."""

import peft
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    pipeline,
)

from autobert_hf import AutoBertConfig, AutoBertForSequenceClassification


SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "max_position_embeddings": 16}
FAMILIES = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES)),
    "autobert": lambda: AutoBertForSequenceClassification(AutoBertConfig(**SIZES)),
}
ADAPTERS = {
    "lora": lambda: peft.LoraConfig(task_type="SEQ_CLS"),
    "dora": lambda: peft.LoraConfig(task_type="SEQ_CLS", use_dora=True),
    "adalora": lambda: peft.AdaLoraConfig(task_type="SEQ_CLS", total_step=10),
    "vera": lambda: peft.VeraConfig(task_type="SEQ_CLS"),
    "ia3": lambda: peft.IA3Config(task_type="SEQ_CLS"),
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
IDS = torch.tensor([[2, 5, 6, 3]])


def perturb(model):
    """Moves what is trained away from what leaves the network as it was."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)


def save_adapter(folder, family, adapter):
    """A network, its tokenizer and an adapter on it; the path of the adapter."""
    torch.manual_seed(0)
    FAMILIES[family]().save_pretrained(folder / "base")
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base")
    adapted = peft.get_peft_model(base, ADAPTERS[adapter]())
    perturb(adapted)
    adapted.save_pretrained(folder / "adapter")
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(folder / "base")
    return str(folder / "adapter")


def outcome(load):
    try:
        return type(load()).__name__.removeprefix("Auto")
    except ValueError as error:
        return " ".join(str(error).split())[:20]


LOADERS = {
    "AutoModel": AutoModel.from_pretrained,
    "AutoModelForSequenceClassification": AutoModelForSequenceClassification.from_pretrained,
    "pipeline": lambda path: pipeline("text-classification", path),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_folder_loads_where_berts_does(adapter, loader, tmp_path):
    bert, ours = (save_adapter(tmp_path / family, family, adapter) for family in FAMILIES)
    assert outcome(lambda: LOADERS[loader](ours)) == outcome(lambda: LOADERS[loader](bert))


@pytest.mark.parametrize("adapter", ["lora", "adalora", "ia3"])
def test_an_adapter_folder_gives_the_adapted_outputs(adapter, tmp_path):
    path = save_adapter(tmp_path, "autobert", adapter)
    expected = peft.AutoPeftModelForSequenceClassification.from_pretrained(path).eval()(IDS).logits
    found = AutoModelForSequenceClassification.from_pretrained(path).eval()(IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_an_adapter_does_not_hide_that_the_network_holds_other_weights(tmp_path):
    path = save_adapter(tmp_path, "autobert", "lora")
    FAMILIES["bert"]().save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").replace(tmp_path / "base" / "model.safetensors")
    with pytest.raises(ValueError, match="weights of another architecture"):
        AutoModelForSequenceClassification.from_pretrained(path)
