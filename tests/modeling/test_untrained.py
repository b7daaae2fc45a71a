"""A folder of random weights says so wherever it is loaded, and stops saying so once something has trained it."""

import json

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, Trainer, TrainingArguments

from autobert_hf import AutoBertConfig, AutoBertForCausalLM, AutoBertForSequenceClassification
from autobert_hf.modeling.untrained import LAYERS


SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
MESSAGE = "are random: its architecture was found by a search that trains nothing"


def new(**settings):
    config = AutoBertConfig(**SIZES, max_position_embeddings=16, is_decoder=True, untrained=True, **settings)
    return AutoBertForCausalLM(config)


def says(folder):
    return json.loads((folder / "config.json").read_text())["untrained"]


@pytest.fixture
def folder(tmp_path):
    new().save_pretrained(tmp_path / "model")
    assert says(tmp_path / "model") is True
    return tmp_path / "model"


@pytest.fixture
def warnings_of(monkeypatch):
    said = []
    monkeypatch.setattr("autobert_hf.modeling.untrained.logger.warning", said.append)
    return said


def test_nothing_is_said_of_other_models(tmp_path, warnings_of):
    AutoBertForCausalLM(AutoBertConfig(**SIZES, is_decoder=True)).save_pretrained(tmp_path)
    assert says(tmp_path) is False
    AutoModelForCausalLM.from_pretrained(tmp_path)
    assert warnings_of == []


@pytest.mark.parametrize("kind", [AutoModel, AutoModelForCausalLM, AutoBertForSequenceClassification])
def test_loading_warns(folder, warnings_of, kind):
    kind.from_pretrained(folder)
    assert len(warnings_of) == 1 and MESSAGE in warnings_of[0] and str(folder) in warnings_of[0]


def test_a_copy_is_as_untrained(folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(40)
    model.save_pretrained(tmp_path / "copy")
    assert says(tmp_path / "copy") is True
    AutoBertForSequenceClassification.from_pretrained(tmp_path / "copy").save_pretrained(tmp_path / "head")
    assert says(tmp_path / "head") is True


@pytest.mark.parametrize("made", ["loaded", "new"])
def test_transformers_trainer_ends_it(folder, tmp_path, warnings_of, made):
    model = AutoModelForCausalLM.from_pretrained(folder) if made == "loaded" else new()
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(30, (8, 8))]
    options = {"per_device_train_batch_size": 4, "max_steps": 1, "report_to": "none", "save_strategy": "no"}
    arguments = TrainingArguments(
        str(tmp_path / "out"), use_cpu=True, disable_tqdm=True, learning_rate=1e-5, **options
    )
    trainer = Trainer(model, arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model()
    assert says(tmp_path / "out") is False
    assert not model.config.untrained
    warnings_of.clear()
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert warnings_of == []


def test_weights_that_are_handed_over_count(folder, tmp_path):
    """As in sharded trainings, whose model does not hold them."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    weights = {name: weight + (LAYERS in name) for name, weight in model.state_dict().items()}
    model.save_pretrained(tmp_path / "out", state_dict=weights)
    assert says(tmp_path / "out") is False


def test_it_is_taken_out_by_hand(folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.config.untrained = False
    model.save_pretrained(tmp_path / "out")
    assert says(tmp_path / "out") is False


def test_a_push_by_transformers_warns(folder, warnings_of, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(folder)
    monkeypatch.setattr("transformers.PreTrainedModel.push_to_hub", lambda self, repo_id: repo_id)
    warnings_of.clear()
    assert model.push_to_hub("me/model") == "me/model"
    assert len(warnings_of) == 1 and "me/model" in warnings_of[0]
    with torch.no_grad():
        next(model.autobert.encoder.parameters()).add_(1)
    model.push_to_hub("me/model")
    assert len(warnings_of) == 1


def test_only_true_and_false(tmp_path):
    with pytest.raises(ValueError, match="untrained"):
        AutoBertConfig.from_dict(AutoBertConfig(**SIZES).to_dict() | {"untrained": "no"})
