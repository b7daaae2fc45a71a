"""What is timed and how, with FLOPs for seconds: times that are the same on every machine."""

import re
import sys
from random import Random

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.measuring import workload as workload_module
from autobert_hf.lab.measuring.latency import NoiseError, latency_row, measure_latency
from autobert_hf.lab.measuring.workload import LatencyError, Workload, torch_threads


SIZES = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
SIZES |= {"max_position_embeddings": 40}
SHORT = Workload(length=16)


def bert(layers: int = 1) -> BertModel:
    return BertModel(BertConfig(**SIZES, num_hidden_layers=layers), add_pooling_layer=False)


def ours(layers: int = 1) -> AutoBertModel:
    return AutoBertModel(AutoBertConfig(**SIZES, num_hidden_layers=layers), add_pooling_layer=False)


def counted(call) -> tuple[float, float]:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()), 1.0


@pytest.fixture
def flops_as_seconds(monkeypatch):
    monkeypatch.setattr(workload_module, "clocks", counted)


def test_ours_and_others_against_a_reference(flops_as_seconds):
    models = {"ours": ours(1), "twice": ours(2), "three": bert(3)}
    found = measure_latency(models, bert(1), SHORT, rounds=2)
    assert {name: ratio.median for name, ratio in found.items()} == {"ours": 1.0, "twice": 2.0, "three": 3.0}


def test_length_and_batch_arrive_at_the_network(flops_as_seconds):
    found = measure_latency({"long": ours()}, bert(), Workload(2, 32), Workload(1, 16), rounds=2)
    assert found["long"].median == 4.0


def test_models_stay_as_they_are(flops_as_seconds):
    model = ours().train()
    measure_latency({"a": model}, model, Workload(length=16, precision="bf16"), rounds=2)
    assert model.training and model.dtype == torch.float32


def test_noise_is_said_with_what_was_found(monkeypatch):
    rng = Random(0)
    monkeypatch.setattr(workload_module, "clocks", lambda call: (rng.uniform(1, 2), 1.0))
    with pytest.raises(NoiseError, match=r"too noisy for an error of 0\.1%: after 10 rounds there is tiny .*--error"):
        measure_latency({"tiny": ours()}, ours(), SHORT, rounds=2, error=0.001)


def test_a_run_measures_longer_where_there_is_noise_and_then_goes_on(monkeypatch):
    rng = Random(0)
    monkeypatch.setattr(workload_module, "clocks", lambda call: (rng.uniform(1, 2), 1.0))
    with pytest.warns(UserWarning) as told:
        found = measure_latency({"tiny": ours()}, ours(), SHORT, rounds=2, error=0.001, go_on=True)["tiny"]
    assert (found.rounds, found.error > 0.001) == (50, True)
    first, last = [str(one.message) for one in told if one.category is UserWarning]
    assert re.search(r"after 10 rounds there is tiny .*, after 0 s\. It is measured again, for 0 s at most\.", first)
    assert re.search(r"after 50 rounds .*, after 0 s\. The run goes on with these larger errors and records", last)


def test_noise_that_more_rounds_average_out_is_no_obstacle(monkeypatch):
    rng = Random(0)
    monkeypatch.setattr(workload_module, "clocks", lambda call: (rng.uniform(1, 2), 1.0))
    with pytest.warns(UserWarning, match="It is measured again") as told:
        found = measure_latency({"tiny": ours()}, ours(), SHORT, rounds=2, error=0.06, go_on=True)["tiny"]
    assert found.error <= 0.06 and found.rounds >= 10 and len(told) == 1


@pytest.mark.parametrize("model", [bert(), ours()], ids=["bert", "ours"])
def test_what_cannot_be_run_is_named(model):
    with pytest.raises(LatencyError, match=r"long cannot be run on 1 x 41 tokens .*--length"):
        measure_latency({"long": model}, bert(), Workload(length=41))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"threads": -1}, "threads is -1"),
        ({"runtime": "tensorrt"}, "give one of eager, onnxruntime"),
        ({"precision": "int8"}, "eager takes precision no, bf16"),
        ({"runtime": "onnxruntime", "precision": "bf16"}, "onnxruntime takes precision no, int8"),
        ({"runtime": "onnxruntime", "device": "cuda"}, "needs a GPU"),
    ],
)
def test_workloads_that_do_not_exist(wrong, sentence):
    with pytest.raises(LatencyError, match=sentence):
        Workload(**wrong)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_several_threads_are_timed_by_the_wall():
    assert Workload(threads=2).clock is workload_module.wall_clocks
    assert Workload().clock is workload_module.clocks


def test_a_row_is_what_cards_read(flops_as_seconds):
    ratio = measure_latency({"a": ours(2)}, ours(1), SHORT, rounds=2)["a"]
    row = latency_row(ratio, "one layer", SHORT, predicted=1.9, parameters=7)
    assert (row["ratio"], row["low"], row["high"], row["predicted"], row["parameters"]) == (2.0, 2.0, 2.0, 1.9, 7)
    assert (row["reference"], row["runtime"], row["dtype"], row["length"]) == ("one layer", "eager", "float32", 16)
    assert "cores" in row["machine"]


@pytest.mark.skipif(torch.__version__ < "2.11", reason="transformers exports from torch 2.11 on")
def test_an_encoder_without_pooler_in_onnxruntime(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    threads = []
    monkeypatch.setattr(
        onnxruntime.SessionOptions, "intra_op_num_threads", property(None, lambda self, n: threads.append(n))
    )
    model = DistilBertModel(DistilBertConfig(vocab_size=50, dim=32, n_layers=1, n_heads=2, hidden_dim=64))
    asked = Workload(length=16, runtime="onnxruntime", precision="int8")
    found = measure_latency({"int8": model}, model, asked, SHORT, rounds=2, error=1e9)["int8"]
    assert found.median > 0
    assert threads == [1]


def test_without_onnxruntime_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LatencyError, match=r"pip install 'autobert-hf\[onnx\]'"):
        measure_latency({"a": ours()}, ours(), Workload(length=16, runtime="onnxruntime"))
