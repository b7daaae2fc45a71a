"""Adapters on slices of a supernet come back on their slice."""

import json

import pytest
import torch
from peft import AutoPeftModelForSequenceClassification, LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification

from autobert_hf import AutoBertForSequenceClassification
from autobert_hf.modeling.supernet_space import SuperNetError
from tests.modeling.supernet_cases import TWICE, saved


IDS = torch.tensor([[3, 4, 5, 6]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A supernet with a classifier, an adapter on its slice 2x, and the adapted network."""
    folder = tmp_path_factory.mktemp("supernet")
    saved(folder / "it", AutoBertForSequenceClassification)
    base = AutoModelForSequenceClassification.from_pretrained(folder / "it", architecture="2x")
    adapted = get_peft_model(base, LoraConfig(task_type="SEQ_CLS")).eval()
    for name, weights in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights)
    adapted.save_pretrained(folder / "adapter")
    return folder / "it", folder / "adapter", adapted(IDS).logits


@pytest.mark.parametrize(
    "auto",
    [
        AutoPeftModelForSequenceClassification,
        AutoModelForSequenceClassification,
        AutoBertForSequenceClassification,
    ],
)
def test_an_adapter_comes_back_on_its_slice(trained, auto):
    _, adapter, logits = trained
    assert json.loads((adapter / "architecture.json").read_text()) == TWICE
    assert torch.equal(auto.from_pretrained(adapter).eval()(IDS).logits, logits)


def test_other_sizes_are_refused(trained):
    supernet, adapter, logits = trained
    with pytest.raises(SuperNetError, match="another size of its supernet"):
        PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(supernet), adapter)
    right = AutoModelForSequenceClassification.from_pretrained(supernet, architecture="2x")
    assert torch.equal(PeftModel.from_pretrained(right, adapter).eval()(IDS).logits, logits)


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_another_depth_of_the_same_widths_is_refused_however_it_is_loaded(trained, depth):
    supernet, adapter, _ = trained
    other = AutoModelForSequenceClassification.from_pretrained(
        supernet, architecture=TWICE | {"num_hidden_layers": depth}
    )
    with pytest.raises(SuperNetError, match="another size of its supernet"):
        other.load_adapter(str(adapter))
    with pytest.raises(SuperNetError, match="another size of its supernet"):
        PeftModel.from_pretrained(other, adapter)
    with pytest.raises(SuperNetError, match="another size of its supernet"):
        AutoModelForSequenceClassification.from_pretrained(adapter, architecture=TWICE | {"num_hidden_layers": depth})


def test_without_a_record_the_size_is_asked_for(trained, tmp_path):
    _, adapter, logits = trained
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / file).write_bytes((adapter / file).read_bytes())
    with pytest.raises(SuperNetError, match="does not say on which size"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, architecture="2x")
    assert torch.equal(again.eval()(IDS).logits, logits)
