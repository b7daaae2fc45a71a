"""Cards, reports and pushes of a search in three goals that has neither text nor loss, and trains nothing."""

import random

import pytest
import torch

from autobert_hf.hub_cards import push
from autobert_hf.hub_cards.card import write_card
from autobert_hf.hub_cards.page import write_report
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertForCausalLM
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.trial import Proposal, Trial

from .conftest import TRAINING, MadeRun


GOALS = Goals(
    (
        Goal("decoder_parameters", "maximize", "arithmetic", "decoder parameters"),
        Goal("latency", "minimize", "measured", "latency", "times the reference"),
        Goal("memory", "minimize", "measured", "peak memory", "MB"),
    )
)
CLAIMS = ["held-out", "perplexity is", "trained on", "word frequencies", "Trained on", "tokenizer =", "SHA-256"]


def scores(parameters, latency, memory):
    return {"decoder_parameters": parameters, "latency": latency, "memory": memory}


@pytest.fixture(scope="module")
def decoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoBertConfig(
            vocab_size=40, hidden_size=16, num_attention_heads=2, intermediate_size=32, num_hidden_layers=2,
            max_position_embeddings=32, is_decoder=True, untrained=True,
        )  # fmt: skip
        return AutoBertForCausalLM(config).eval()


@pytest.fixture
def found(tmp_path, decoder):
    """Of 20 candidates; trial 7 is the one in `model`."""
    run, rng = MadeRun(tmp_path / "run"), random.Random(0)
    run.settings, run.inputs, run.goals = {"method": "lts", "seed": 3, "length": 32}, {}, GOALS
    run.trials = []
    for index in range(20):
        # The latter half is beaten in everything by the first: not on the front.
        size = 1000 * (index % 10 + 1) + rng.randrange(100)
        worse = 1 + (index >= 10)
        layers = [{"layer_type": "full_attention"}] * 2
        proposal = Proposal(Architecture.of(layers, hidden_size=16))
        values = scores(size - 200 * (worse - 1), worse * size / 5000, worse * (20 + size / 900))
        run.trials.append(Trial(index, proposal, index, values))
    run.write()
    save_model(decoder, None, run.folder / "model")
    return run


def card_of(run, number=7):
    write_card(run.folder, run.folder / "model", number)
    return (run.folder / "model" / "README.md").read_text()


def test_the_card_says_first_that_nothing_was_trained(found, undrawn):
    text = card_of(found)
    title = text.index("# A causal language model")
    assert "**Nothing was trained: the weights are random.**" in text[title:].split("\n\n")[1]
    assert "pipeline_tag: text-generation" in text
    assert not [claim for claim in CLAIMS if claim in text]
    assert "ids below 40 and at most 32 tokens, and came without a tokenizer" in text


def test_the_front_in_three_goals(found, undrawn):
    text = card_of(found)
    assert (
        "10 candidates are on the front of `decoder_parameters`, `latency`, `memory`, this network among them" in text
    )
    assert "| trial | `latency` (times the reference) | `memory` (MB) | `decoder_parameters` |" in text
    size = found.trials[7].scores["decoder_parameters"]
    assert f"| 7 (this network) | {size / 5000:.4f} | {20 + size / 900:.4g} | {size:,} |" in text
    assert "baseline:" not in text and "measured again" not in text


def test_what_was_measured_again_counts_and_baselines_stand_beside_it(found, undrawn):
    points = {
        str(number): {"scores": scores(1000, 0.5, 30.5), "first": {}, "kept": number != 4, "reason": ""}
        for number in range(10)
    }
    found.report("measured-front", {"points": points, "baselines": {"depth scaling, 2 layers": scores(900, 0.25, 21)}})
    text = card_of(found)
    assert "9 candidates are on the front" in text
    assert "measured again after the search, which left out 1 candidate that noise had put there." in text
    assert "| 7 (this network) | 0.5000 | 30.5 | 1,000 |" in text and "| 4 |" not in text
    assert "| baseline: depth scaling, 2 layers | 0.2500 | 21 | 900 |" in text


def test_the_report_of_such_a_run(found):
    page = write_report(found.folder).read_text()
    assert "Nothing was trained: its weights are random." in page
    assert "<h2>The front</h2>" in page and "memory (MB)" in page
    assert not [claim for claim in CLAIMS if claim in page]
    assert (found.folder / "report" / "front.png").stat().st_size > 10_000


def test_once_trained_the_card_says_what_came_out(found, undrawn, decoder):
    found.report("training-000007", TRAINING | {"unit": "nats per token"})
    model = AutoBertForCausalLM(AutoBertConfig.from_dict(decoder.config.to_dict() | {"untrained": False}))
    save_model(model, None, found.folder / "model")
    text = card_of(found)
    assert "random" not in text
    assert "At the end this network's perplexity is 314.19 per token of its tokenizer." in text
    assert "type: text-generation" in text and "fill-mask" not in text


def test_a_push_warns(found, undrawn, monkeypatch):
    said = []
    monkeypatch.setattr(push.logger, "warning", said.append)
    monkeypatch.setattr(push, "refuse_unequal", lambda folder: None)
    push.prepare(found.folder, "me/model")
    assert len(said) == 1 and "random" in said[0]
    text = (found.folder / "model" / "config.json").read_text().replace('"untrained": true', '"untrained": false')
    (found.folder / "model" / "config.json").write_text(text)
    push.prepare(found.folder, "me/model")
    assert len(said) == 1
