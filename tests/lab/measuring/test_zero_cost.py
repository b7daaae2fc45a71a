"""Scores of untrained networks: finite, repeatable, and about what they claim."""

import math

import pytest
import torch

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.lab.measuring.zero_cost import ZERO_COST, gradient_norm, separation, synflow


WORK = Workload(length=12)


def network(width: int = 16, depth: int = 2, **more):
    sizes = {
        "hidden_size": width,
        "num_attention_heads": 2,
        "intermediate_size": 4 * width,
        "num_hidden_layers": depth,
    }
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return untrained(AutoBertConfig(vocab_size=40, max_position_embeddings=16, **sizes, **none, **more)).eval()


@pytest.mark.parametrize("name", ZERO_COST)
@pytest.mark.parametrize("decoder", [False, True])
def test_scores_are_finite_repeatable_and_change_nothing(name, decoder):
    model = network(is_decoder=decoder, norm_position="pre", final_norm=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    scores = [ZERO_COST[name](model, WORK) for _ in range(2)]
    assert scores[0] == scores[1]
    assert math.isfinite(scores[0])
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_synflow_grows_with_every_size():
    scores = [synflow(network(width, depth), WORK) for width, depth in ((8, 1), (16, 1), (16, 4))]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


def test_synflow_of_a_network_that_lets_nothing_through_is_the_lowest():
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert synflow(model, WORK) == -math.inf


def test_the_gradient_of_a_network_without_a_say_is_zero():
    model = network()
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()  # all words are equally likely whatever the states
    assert gradient_norm(model, WORK) == pytest.approx(0.0, abs=1e-9)


def test_alike_contexts_are_not_separated():
    model = network()
    alike = network()
    with torch.no_grad():
        for name, parameter in alike.named_parameters():
            if "norm" not in name.lower() and not name.startswith("embeddings"):
                parameter.zero_()  # no layer mixes tokens, and the last token is the same in all rows
    assert separation(alike, WORK) < separation(model, WORK)
