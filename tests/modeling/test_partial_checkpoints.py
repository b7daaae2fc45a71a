"""Files that hold some of the weights: loaded and reported as stock BERT's are, refused only if nothing fits."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
)

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM


SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES["intermediate_size"] = 24
FAMILIES = {"bert": lambda **more: BertForMaskedLM(BertConfig(**(SIZES | more)))}
FAMILIES["autobert"] = lambda **more: AutoBertForMaskedLM(AutoBertConfig(**(SIZES | more)))
KEPT = {
    "everything": lambda name: True,
    "the head only": lambda name: "encoder" not in name and "embeddings" not in name,
    "no embeddings": lambda name: "embeddings" not in name,
    "the first layer only": lambda name: "encoder" not in name or ".0." in name,
    "one weight less": lambda name: not name.endswith(("layer.1.attention.self.key.weight", "1.mixer.key.weight")),
    "nothing": lambda name: "beside" in name,
}


def keep_only(folder, kept):
    """Leaves in the file what `kept` accepts, and adds a weight that no network has; returns the other names."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    left = {name: weight for name, weight in weights.items() if kept(name)}
    save_file(left | {"head.0.weight": torch.ones(2)}, path, {"format": "pt"})
    return set(weights) - set(left)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kept", KEPT)
def test_what_is_missing_is_drawn_and_reported(family, kept, tmp_path):
    saved = FAMILIES[family]()
    saved.save_pretrained(tmp_path)
    lost = keep_only(tmp_path, KEPT[kept])
    model, info = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    # Where neither of two tied weights is there, transformers names the second as well.
    assert set(info["missing_keys"]) - set(model.all_tied_weights_keys) == lost
    assert set(info["unexpected_keys"]) == {"head.0.weight"}
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    for name, weight in saved.named_parameters():
        if name not in lost and ("decoder.weight" not in name or not lost):
            assert torch.equal(model.get_parameter(name), weight), name


@pytest.mark.parametrize("family", FAMILIES)
def test_more_layers_than_the_file_has(family, tmp_path):
    FAMILIES[family]().save_pretrained(tmp_path)
    model, info = AutoModel.from_pretrained(tmp_path, num_hidden_layers=3, output_loading_info=True)
    assert len(model.encoder.layers if family == "autobert" else model.encoder.layer) == 3
    layers = {name.partition("encoder.")[2] for name in info["missing_keys"] if "encoder." in name}
    assert {name.split(".")[1] for name in layers} == {"2"}


FOREIGN = {
    "bert": lambda: FAMILIES["bert"](),
    "distilbert": lambda: DistilBertModel(DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2)),
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2)),
}


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("auto", [AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification])
def test_layers_of_which_none_fits_are_refused(foreign, auto, tmp_path):
    FAMILIES["autobert"]().save_pretrained(tmp_path)
    FOREIGN[foreign]().save_pretrained(tmp_path / "foreign")
    (tmp_path / "foreign" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="weights of another architecture"):
        auto.from_pretrained(tmp_path)
