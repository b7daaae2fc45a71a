"""A folder that does not give others what it gives us is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.hub_cards import load_back
from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.checks import PushError
from autobert_hf.hub_cards.load_back import refuse_unequal
from autobert_hf.modeling.convert import to_bert
from autobert_hf.records.model_folder import save_model

from .conftest import SIZES


def test_a_sound_folder_passes(made):
    refuse_unequal(made.folder / "model")


def test_other_outputs_elsewhere_are_refused(made, monkeypatch):
    """As a weight gives them that is missing from the file and drawn at random."""
    model = made.folder / "model"
    config = json.loads((model / "config.json").read_text())
    head = config["architectures"][0]
    same = load_back.outputs(model, config, head, load_back.probe(config, head))
    monkeypatch.setattr(load_back, "outputs_without_package", lambda *of: same)
    refuse_unequal(model)
    for other in ({"logits": same["logits"] + 1e-4}, {}):
        monkeypatch.setattr(load_back, "outputs_without_package", lambda *of, other=other: other)
        with pytest.raises(PushError, match=r"does not load back with equal outputs \(logits differs\)"):
            refuse_unequal(model)


@pytest.mark.parametrize("stock", [False, True])
def test_an_encoder_without_pooler_passes(tmp_path, stock):
    """As distillation makes them: no outputs of a pooler that was drawn at random."""
    config = AutoBertConfig(**SIZES, num_hidden_layers=1)
    model = AutoBertModel(config, add_pooling_layer=False)
    save_model(to_bert(model) if stock else model, None, tmp_path / "model")
    refuse_unequal(tmp_path / "model")
    line = Network(tmp_path / "model").loading("me/it")
    assert line == 'AutoModel.from_pretrained("me/it"' + (", add_pooling_layer=False)" if stock else ")")


@pytest.mark.slow
def test_code_that_was_changed_is_refused(made):
    code = made.folder / "model" / "modeling_autobert.py"
    text = code.read_text()
    code.write_text(text.replace("hidden_states = ", "hidden_states = 1.01 * ", 1))
    assert code.read_text() != text
    with pytest.raises(PushError, match="does not load back with equal outputs"):
        refuse_unequal(made.folder / "model")


@pytest.mark.slow
def test_code_that_needs_this_package_is_refused(made):
    code = made.folder / "model" / "modeling_autobert.py"
    code.write_text("import autobert_hf\n" + code.read_text())
    with pytest.raises(PushError, match="does not load in a process without this package: .*autobert_hf"):
        refuse_unequal(made.folder / "model")


def test_damaged_weights_are_refused_at_once(made):
    model = made.folder / "model"
    weights = model / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PushError, match="does not load: "):
        refuse_unequal(model)
    weights.write_bytes(whole)
    config = model / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"architectures": ["os"]}))
    with pytest.raises(PushError, match="names 'os' as its class"):
        refuse_unequal(model)


def test_values_that_are_not_finite_are_refused(made, monkeypatch):
    weights = made.folder / "model" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("predictions.bias") or "predictions.dense.bias" in name)
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, weights, {"format": "pt"})
    monkeypatch.setattr(load_back, "outputs_without_package", lambda *of: {})
    with pytest.raises(PushError, match="not finite"):
        refuse_unequal(made.folder / "model")
