"""Peak memory from the profiler and of a process of its own."""

import pytest
import torch

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring import peak_memory
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.peak_memory import process_memory, profiled_memory
from autobert_hf.lab.measuring.workload import LatencyError, Workload


WORK = Workload(length=64)


def config(width: int, **more) -> AutoBertConfig:
    sizes = {"hidden_size": width, "num_attention_heads": 2, "intermediate_size": 8 * width, "num_hidden_layers": 2}
    return AutoBertConfig(vocab_size=100, max_position_embeddings=64, **sizes, **more)


def test_the_profiler_sees_weights_and_what_the_widest_layer_needs():
    one = config(256)
    model = untrained(one)
    weights = sum(parameter.nbytes for parameter in model.parameters()) / 1e6
    widest = 64 * one.intermediate_size * 4 / 1e6
    found = profiled_memory(model, WORK)
    assert weights + widest < found < weights + 6 * widest


def test_both_ways_agree_and_one_network_does_not_count_for_the_next():
    configs = [config(512), config(128), config(512)]
    found = process_memory(configs, WORK)
    profiled = [profiled_memory(untrained(one), WORK) for one in configs]
    assert found == pytest.approx(profiled, rel=0.25, abs=3)
    assert found[0] == pytest.approx(found[2], rel=0.1)


def test_a_torch_that_reports_nothing_is_refused(monkeypatch):
    class Silent:
        profiler = None

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(peak_memory, "profile", lambda **_: Silent())
    with pytest.raises(LatencyError, match="cannot be measured here: .*--no-memory"):
        profiled_memory(untrained(config(16)), WORK)


def test_a_process_that_fails_is_named():
    longer = Workload(length=65)  # than the position table
    with pytest.raises(LatencyError, match="in a process of its own .*--no-memory"):
        process_memory([config(16)], longer)


def test_random_state_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    profiled_memory(untrained(config(16)), WORK)
    assert torch.rand(1).equal(expected)
