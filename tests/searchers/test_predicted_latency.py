"""The latency of a search is the predictor's, of any network of a space, without making its configuration."""

from random import Random

import pytest
from transformers import BertConfig, BertModel

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring import latency_samples
from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import LinearPredictor
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.json_files import read_record, write_record
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.baselines.default_rule import default_rules
from autobert_hf.searchers.predicted_latency import WindowedLatency, linear, mean_sizes, set_aside
from autobert_hf.searchers.settings import WindowSettings
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace

from .runner import count_work


BASE = AutoBertConfig(vocab_size=60, hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192)
FEATURES = {"one": 0.1, "flops": 2e-8, "layers": 0.01, "attention_layers": 0.01, "scores": 1e-7}
PREDICTOR = LinearPredictor(
    FEATURES | {"conv_layers": 0, "taps": 0, "conv_width": 0, "feed_forward_width": 1e-5}, batch=2, length=24
)
SPACE = AutoTinyBertSpace.within(BASE, True, 4, 8)


@pytest.fixture
def reference():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return BertModel(BertConfig(vocab_size=60, **sizes), add_pooling_layer=False).eval(), "it"


@pytest.fixture
def latency(run, reference):
    """With a predictor that was not measured; settings as they are asked for."""

    def latency(**settings):
        made = WindowedLatency(run, SPACE, BASE, reference, WindowSettings(output_dir="", **settings))
        made.predict = linear(PREDICTOR, BASE, SPACE)
        return made

    return latency


@pytest.mark.parametrize("part_of_heads", [True, False])
@pytest.mark.parametrize("identical", [True, False])
def test_it_is_the_predictor(part_of_heads, identical):
    space = AutoTinyBertSpace.within(BASE, part_of_heads, 4, 8, identical)
    predict = linear(PREDICTOR, BASE, space)
    drawn = [space.sample(Random(number)) for number in range(100, 110)] + [
        space.smallest(),
        *default_rules(space)[:5],
    ]
    expected = PREDICTOR.predict([one.to_config(BASE) for one in drawn])
    assert [predict(one) for one in drawn] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("identical", [True, False])
def test_the_papers_network_sees_what_it_was_fitted_to(identical):
    space = AutoTinyBertSpace.within(BASE, False, 4, 8, identical)
    drawn = [space.sample(Random(number)) for number in range(8)]
    configs = [one.to_config(BASE) for one in drawn]
    network = NetworkPredictor.fit(configs, [0.1 * (1 + n) for n in range(8)], hidden=8, steps=3)
    assert network.predict_sizes(map(mean_sizes, drawn)) == pytest.approx(network.predict(configs), rel=1e-5)


def test_windows_end_at_the_limit_and_begin_below_what_there_is(latency):
    predicted = latency()
    some = [SPACE.sample(Random(number)) for number in range(50)] + [SPACE.largest()]
    largest = predicted(SPACE.largest())
    assert predicted.window(0.5 * largest, some)[1] == 0.5 * largest
    assert latency(window_high=1.1).window(2.0, some) == pytest.approx((0.85 * largest, 2.2))
    low, high = latency(window_low=0.9999).window(0.99 * largest, some)
    assert any(low <= predicted(one) <= high for one in some), "a window that holds nothing"


def test_the_smallest_network_is_the_fastest_and_the_bound_of_all_limits(latency):
    predicted = latency()
    fastest = predicted(SPACE.smallest())
    assert fastest <= min(predicted(SPACE.sample(Random(number))) for number in range(50))
    latency(max_latency=str(fastest + 0.01))._check_limits()
    with pytest.raises(LimitError, match=rf"No network reaches 0.05 of the time of it: .* is {fastest:.3f}x"):
        latency(max_latency="0.9,0.05")._check_limits()


@pytest.mark.parametrize(("time", "limit"), [(0.2, 0.25), (0.25, 0.25), (0.26, 0.5), (0.7, 1.0), (3.0, 1.0)])
def test_a_trial_belongs_to_the_tightest_limit_that_it_keeps(latency, time, limit):
    trial = Trial(0, Proposal(Architecture.of([])), 0, {"latency": time})
    assert latency(max_latency="0.25,0.5,1.0").limit_of(trial) == limit


def test_with_slack_a_limit_is_kept_that_is_missed_by_less(latency):
    trial = Trial(0, Proposal(Architecture.of([])), 0, {"latency": 0.27})
    assert latency(max_latency="0.25,0.5", window_high=1.1).limit_of(trial) == 0.25


@pytest.fixture
def measured(monkeypatch):
    """Work is counted where time would be measured."""
    times = []

    def counted(models, *rest, **more):
        times.extend(models)
        return count_work(models)

    monkeypatch.setattr(latency_samples, "measure_latency", counted)
    return times


def test_a_machine_is_measured_once_and_another_one_again(run, reference, measured):
    settings = WindowSettings(output_dir="", latency_samples=6, latency_length=16, max_latency="3")

    def new():
        return WindowedLatency(run, SPACE, BASE, reference, settings)

    first = new()
    first.measure()
    assert len(measured) > 0
    before, times = read_record(run.path / "report" / "predictor.json"), [*measured]
    second = new()
    second.measure()
    assert measured == times, "the same machine is not asked twice"
    assert second(SPACE.largest()) == first(SPACE.largest()) > first(SPACE.smallest())
    (run.path / "journal.jsonl").write_text("trials\n")
    before["conditions"]["machine"] = "another one"
    write_record(run.path / "report" / "predictor.json", before)
    new().measure()
    assert read_record(run.path / "report" / "predictor.json")["conditions"]["machine"] != "another one"
    assert [path.name for path in run.path.glob("*.jsonl")] == ["journal-other-machine-0.jsonl"]


def test_a_deleted_predictor_is_fitted_again_and_its_trials_stay(run, reference, measured):
    """What the message about a damaged one advises."""
    settings = WindowSettings(output_dir="", latency_samples=6, latency_length=16, max_latency="3")
    first = WindowedLatency(run, SPACE, BASE, reference, settings)
    first.measure()
    path, times = run.path / "report" / "predictor.json", [*measured]
    (run.path / "journal.jsonl").write_text("trials\n")
    path.write_text("{")
    with pytest.raises(DamagedFileError, match="Delete report/predictor"):
        WindowedLatency(run, SPACE, BASE, reference, settings).measure()
    path.unlink()
    again = WindowedLatency(run, SPACE, BASE, reference, settings)
    again.measure()
    assert (again(SPACE.largest()), measured) == (first(SPACE.largest()), times)
    assert [path.name for path in run.path.glob("*.jsonl")] == ["journal.jsonl"]


def test_journals_of_other_machines_are_kept(tmp_path):
    journal = tmp_path / "journal.jsonl"
    for text in ("a\n", "b\n"):
        journal.write_text(text)
        for name in ("final", "baselines", "report"):
            (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / "report" / "baselines.json").write_text(text)
        set_aside(tmp_path)
    set_aside(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *(f"baselines-other-machine-{number}" for number in (0, 1)),
        *(f"final-other-machine-{number}" for number in (0, 1)),
        *(f"journal-other-machine-{number}.jsonl" for number in (0, 1)),
        "report",
        *(f"report/baselines-other-machine-{number}.json" for number in (0, 1)),
    ]
    assert [(tmp_path / f"journal-other-machine-{n}.jsonl").read_text() for n in (0, 1)] == ["a\n", "b\n"]
