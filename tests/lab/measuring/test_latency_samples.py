"""Measured networks on disk: once for each machine, never mixed."""

import json
from collections import Counter

import pytest
from transformers import BertConfig, BertModel

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring import latency_samples
from autobert_hf.lab.measuring.latency_samples import measure_samples
from autobert_hf.lab.measuring.paired_times import Ratio
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.records.journal import read_journal


SIZES = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
CONFIGS = [AutoBertConfig(**SIZES, num_hidden_layers=layers) for layers in (3, 1, 2)]


def bert(layers: int = 1) -> BertModel:
    return BertModel(BertConfig(**SIZES, num_hidden_layers=layers))


@pytest.fixture
def measured(monkeypatch):
    """Layers for seconds, and which networks were measured."""
    seen: Counter[int] = Counter()

    def layers(models, reference, *_, **__):
        assert models["network"].pooler is None
        seen[models["network"].config.num_hidden_layers] += 1
        time = models["network"].config.num_hidden_layers / reference.config.num_hidden_layers
        return {"network": Ratio(time, time, time, time, time, False, 0.0, 6)}

    monkeypatch.setattr(latency_samples, "measure_latency", layers)
    return seen


def test_each_network_is_measured_once(measured, tmp_path):
    path = tmp_path / "samples.jsonl"
    assert measure_samples(CONFIGS[:2], bert(), path) == [3.0, 1.0]
    assert measure_samples(CONFIGS, bert(), path) == [3.0, 1.0, 2.0]
    assert measure_samples(CONFIGS[::-1], bert(), path) == [2.0, 1.0, 3.0]
    assert measured == {1: 1, 2: 1, 3: 1}
    assert len(read_journal(path)) == 3


def test_a_kill_while_it_wrote_costs_one_measurement(measured, tmp_path):
    path = tmp_path / "samples.jsonl"
    measure_samples(CONFIGS, bert(), path)
    path.write_bytes(path.read_bytes()[:-10])
    assert measure_samples(CONFIGS, bert(), path) == [3.0, 1.0, 2.0]
    assert measured == {1: 1, 2: 2, 3: 1}


@pytest.mark.parametrize("change", ["machine", "torch", "workload", "reference"])
def test_nothing_of_other_conditions_is_used(measured, tmp_path, monkeypatch, change):
    path = tmp_path / "samples.jsonl"
    measure_samples(CONFIGS, bert(), path)
    if change == "machine":
        monkeypatch.setattr(latency_samples, "machine_name", lambda device: "another processor")
    if change == "torch":
        monkeypatch.setattr(latency_samples.torch, "__version__", "99.0")
    workload = Workload(length=64) if change == "workload" else None
    layers = 2 if change == "reference" else 1
    assert measure_samples(CONFIGS, bert(layers), path, workload) == [3 / layers, 1 / layers, 2 / layers]
    assert measured == {1: 2, 2: 2, 3: 2}
    assert len(read_journal(path)) == 6


def test_a_record_holds_the_network_that_was_measured(measured, tmp_path):
    path = tmp_path / "samples.jsonl"
    measure_samples(CONFIGS[:1], bert(), path)
    record = json.loads(path.read_text())
    again = AutoBertConfig.from_dict(record["config"])
    assert measure_samples([again], bert(), path) == [3.0]
    assert measured == {3: 1}
    assert record["conditions"]["workload"]["threads"] == 1


def test_after_one_noisy_network_the_others_may_be_as_noisy(monkeypatch, tmp_path):
    """The run goes on, and what the machine could do is on disk."""
    asked = []

    def noisy(models, reference, workload, _, rounds, error, go_on):
        asked.append(error)
        assert go_on
        return {"network": Ratio(1.0, 0.8, 1.2, 1.0, 1.0, True, 0.08, 150)}

    monkeypatch.setattr(latency_samples, "measure_latency", noisy)
    path = tmp_path / "samples.jsonl"
    measure_samples(CONFIGS, bert(), path, Workload(), error=0.03)
    assert asked == [0.03, 0.08, 0.08]
    assert latency_samples.largest_error(CONFIGS, bert(), path, Workload()) == 0.08
