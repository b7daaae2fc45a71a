"""Peak memory of a search is predicted for networks that were never built."""

from random import Random

import pytest
from accelerate import Accelerator

from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.peak_memory import profiled_memory
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.lab.training.team import Team
from autobert_hf.records.run_folder import read_report
from autobert_hf.searchers.predicted_memory import PredictedMemory, extents
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.layer_ranges import LayerRangeSettings
from autobert_hf.searchers.spaces.lts import LtsSpace


SPACE = LtsSpace(range(1, 5), range(32, 129, 16), range(64, 513, 32), (2, 4))
BASE = LayerRangeSettings("", length=64, vocab_size=100).base_config(100, {})
WORK = Workload(length=64)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run"), 0, Team(Accelerator(cpu=True)))
    made = PredictedMemory(run, SPACE, BASE, WORK, samples=20)
    made.measure()
    return made


def test_it_is_right_about_networks_that_were_not_measured(memory):
    for seed in range(100, 105):
        one = SPACE.sample(Random(seed))
        measured = profiled_memory(untrained(one.to_config(BASE)), WORK)
        assert memory(one) == pytest.approx(measured, rel=0.15)


def test_a_resumed_run_measures_nothing(memory, monkeypatch):
    again = PredictedMemory(memory.run, SPACE, BASE, WORK, samples=20)
    monkeypatch.setattr(PredictedMemory, "_fit", None)
    again.measure()
    assert again(SPACE.largest()) == memory(SPACE.largest())


def test_the_report_says_how_good_it_is(memory):
    found = read_report(memory.run.path / "report" / "memory-predictor.json")
    assert len(found["measured"]) == len(found["predicted"]) == 22
    assert found["error"] < 0.2


def test_extents_are_of_the_widest_layers():
    one = SPACE.build(32, [(64, 2), (512, 2), (96, 4)])
    assert list(extents(one)[-2:]) == [512, 32]
