"""Predictors on times that are known: made of FLOPs and layers."""

import json
from functools import partial
from random import Random

import pytest
import torch

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import FEATURES, LinearPredictor, held_out, physical_features
from autobert_hf.modeling.arithmetic import count_flops


def network(rng: Random, **more) -> AutoBertConfig:
    return AutoBertConfig(
        hidden_size=rng.randrange(128, 385, 16),
        num_hidden_layers=rng.randint(1, 6),
        num_attention_heads=rng.randint(1, 12),
        head_dim=32,
        intermediate_size=rng.randrange(128, 1537, 32),
        **more,
    )


def time(config: AutoBertConfig) -> float:
    return 0.01 + 0.02 * config.num_hidden_layers + count_flops(config) / 4e9


CONFIGS = [network(Random(seed)) for seed in range(40)]
TIMES = [time(config) for config in CONFIGS]


def test_features_count_what_works():
    config = AutoBertConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        layer_types=["conv", "full_attention", "full_attention"],
        conv_kernel_size=5,
        per_layer_config={1: {"skip": ["feed_forward"]}, 2: {"skip": ["mixer"], "intermediate_size": 96}},
    )
    found = dict(zip(FEATURES, physical_features(config, batch=2, length=10), strict=True))
    assert found.pop("flops") == count_flops(config, 10, 2)
    assert found == {
        "one": 1,
        "layers": 3,
        "attention_layers": 1,
        "conv_layers": 1,
        "scores": 2 * 100 * 2,
        "taps": 160,
        "conv_width": 32,
        "feed_forward_width": 64 + 96,
    }


def test_the_linear_predictor_finds_what_time_is_made_of():
    found = held_out(LinearPredictor.fit, CONFIGS, TIMES)
    assert found.error < 0.02
    assert found.tau > 0.98


def test_more_never_makes_a_network_faster():
    rng = Random(0)
    noisy = [value * rng.uniform(0.7, 1.4) for value in TIMES[:12]]
    fitted = LinearPredictor.fit(CONFIGS[:12], noisy)
    assert min(fitted.coefficients.values()) >= 0


def test_a_linear_predictor_as_json():
    fitted = LinearPredictor.fit(CONFIGS, TIMES, batch=2, length=64)
    again = LinearPredictor.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.predict(CONFIGS) == fitted.predict(CONFIGS)


def test_one_network_is_enough_to_start_with():
    assert LinearPredictor.fit(CONFIGS[:1], TIMES[:1]).predict(CONFIGS[:1])[0] == pytest.approx(TIMES[0], rel=0.05)


def test_held_out_networks_are_not_fitted():
    class Memory:
        def __init__(self, configs, ratios):
            self.known = {id(config): ratio for config, ratio in zip(configs, ratios, strict=True)}

        def predict(self, configs):
            assert not {id(config) for config in configs} & set(self.known)
            return [max(self.known.values())] * len(configs)

    found = held_out(Memory, CONFIGS, [1.0 if i else 2.0 for i in range(40)])
    assert len(found.predicted) == 40
    # Eight networks share a fold with the one of 2.0; for the others the largest that was seen is 2.0.
    assert found.error == pytest.approx((32 * 1.0 + 0.5) / 40)


def test_the_papers_network_learns(tmp_path):
    fit = partial(NetworkPredictor.fit, hidden=32, steps=300, learning_rate=1e-2)
    fitted = fit(CONFIGS[:30], TIMES[:30])
    errors = [abs(a / b - 1) for a, b in zip(fitted.predict(CONFIGS[30:]), TIMES[30:], strict=True)]
    assert sum(errors) / len(errors) < 0.15
    assert fit(CONFIGS[:30], TIMES[:30]).predict(CONFIGS) == fitted.predict(CONFIGS)
    fitted.save(tmp_path / "network.safetensors")
    assert NetworkPredictor.load(tmp_path / "network.safetensors").predict(CONFIGS) == fitted.predict(CONFIGS)


def test_the_papers_network_has_the_papers_shape():
    network = NetworkPredictor()
    assert [tuple(w.shape) for name, w in network.named_parameters() if name.endswith("weight")] == [
        (2000, 4),
        *[(2000, 2000)] * 3,
        (1, 2000),
    ]


def test_time_is_normed_for_the_papers_network():
    torch.manual_seed(0)
    network = NetworkPredictor(hidden=8, time_norm=200.0)
    other = NetworkPredictor(hidden=8)
    other.load_state_dict(network.state_dict())
    assert network.predict(CONFIGS[:3]) == pytest.approx([200 * value for value in other.predict(CONFIGS[:3])])
