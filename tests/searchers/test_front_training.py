"""Found decoders and a baseline scaled in depth learn next words alike, go on after a stop, and are trained then."""

import json

import pytest
import torch

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.next_words import NextWordBatches
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.losses.next_words import NextWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.modeling.arithmetic import count_encoder_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.baselines.scaled_depth import nearest_in_size, scaled_in_depth
from autobert_hf.searchers.front_training import train_found


RECIPE = Recipe(12, learning_rate=5e-3, decay=0.3)
LAYERS = [{"layer_type": "full_attention", "intermediate_size": inner} for inner in (40, 24)]
TRIAL = Trial(3, Proposal(Architecture.of(LAYERS, hidden_size=16)), 0, {"latency": 1.0})


@pytest.fixture
def decoder_base(config):
    return AutoBertConfig.from_dict(config.to_dict() | {"is_decoder": True, "untrained": True})


@pytest.fixture
def words(rows, tokenizer):
    train = NextWordBatches(rows, tokenizer, 8, seed=1)
    return Text(tokenizer, train, train.held_out(16), floor=3.9, device=torch.device("cpu"))


def test_found_and_baseline_are_trained_alike(run, decoder_base, words, team):
    scaled = scaled_in_depth(16, [1, 2, 3, 4], heads=2)
    baseline = nearest_in_size(scaled, decoder_base, TRIAL.architecture.to_config(decoder_base))
    sizes = [count_encoder_parameters(one.to_config(decoder_base)) for one in scaled]
    wanted = count_encoder_parameters(TRIAL.architecture.to_config(decoder_base))
    assert count_encoder_parameters(baseline) == min(sizes, key=lambda size: abs(size - wanted))
    given = (run, TRIAL, decoder_base, {"scaled in depth": baseline}, NextWords, RECIPE, words)
    model = train_found(*given)
    said = json.loads((run.path / "report" / "training-000003.json").read_text())
    assert said["unit"] == "nats per token" and said["floor"] == 3.9
    assert [*said["curves"]] == ["found", "scaled in depth"]
    loss = said["curves"]["found"][-1][1]
    assert loss == HeldOut(NextWords(model.config), words.held_out, team)(model)
    assert loss < said["curves"]["found"][0][1]
    assert not model.config.untrained
    again = train_found(*given)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))
    assert not again.config.untrained


def test_a_loss_for_encoders_is_refused(run, decoder_base, words):
    with pytest.raises(ValueError, match="Use the loss next-words"):
        train_found(run, TRIAL, decoder_base, {}, MaskedWords, RECIPE, words)
