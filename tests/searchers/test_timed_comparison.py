"""What becomes of a found network: it is timed as it will be loaded, and a missed limit is said."""

import pytest
from transformers import AutoModel, BertConfig, BertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import read_record
from autobert_hf.records.study import journal_file
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers import timed_comparison
from autobert_hf.searchers.predicted_latency import LimitedLatency
from autobert_hf.searchers.settings import LatencySettings
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.timed_comparison import TimedComparison


SIZES = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
TRIAL = Trial(3, Proposal(Architecture.of([])), 0, {"loss": 1.0, "latency": 0.45})


@pytest.fixture
def model():
    return AutoBertModel(AutoBertConfig(**SIZES))


@pytest.fixture
def baseline():
    return BertModel(BertConfig(**SIZES, attn_implementation="eager"))


@pytest.fixture
def measured(monkeypatch):
    """What was asked of the clock; every model takes 0.6 of the reference's time."""
    seen = {}

    def measured_rows(path, models, predicted, reference, name, workload, **more):
        seen.update(models={key: one.config._attn_implementation for key, one in models.items()})
        seen.update(predicted=predicted, reference=name, **more)
        row = {"ratio": 0.6, "error": 0.01, "reference": name}
        return {key: dict(row) for key in models}

    monkeypatch.setattr(timed_comparison, "measured_rows", measured_rows)
    return seen


@pytest.fixture
def comparison(run, baseline, text):
    settings = LatencySettings(output_dir="", max_latency="0.8,0.5")
    base = AutoBertConfig(**SIZES)
    latency = LimitedLatency(run, AutoTinyBertSpace.within(base), base, (baseline, "the teacher"), settings)
    run.record("goals", Goals((GOALS["loss"],)).to_json())
    return TimedComparison(run, TRIAL, latency, text, None)


def test_networks_are_timed_with_the_attention_they_are_loaded_with(comparison, measured, model, baseline, tmp_path):
    model.save_pretrained(tmp_path / "model")
    loaded = AutoModel.from_pretrained(tmp_path / "model").config._attn_implementation
    model.config._attn_implementation = "eager"  # the fastest to train in bf16
    times = comparison.measure({"found": model, "teacher in int8": baseline}, {"found": 0.45})
    assert times == {"found": 0.6, "teacher in int8": 0.6}
    assert loaded != "eager"
    assert measured["models"] == {"trial 3": loaded, "teacher in int8": "eager"}
    assert measured["predicted"] == {"trial 3": 0.45}
    assert (measured["reference"], measured["trial"]) == ("the teacher", 3)


def test_the_limit_is_the_tightest_that_the_candidate_keeps(comparison):
    assert comparison.limit == 0.5


def add(run, number, loss, latency, status="done"):
    trial = Trial(number, Proposal(Architecture.of([])), 0, {"loss": loss, "latency": latency}, status=status)
    Journal(journal_file(run.path)).append(trial.to_record())


def test_a_missed_limit_is_said_with_the_next_point(comparison, measured, run, model, capsys):
    """It takes 0.6 / 0.45 of what was predicted, so the next one should be predicted 0.5 * 0.45 / 0.6 = 0.375."""
    add(run, 0, loss=0.1, latency=0.38)
    comparison.measure({"found": model}, {"found": 0.45})
    assert "over the limit of 0.5. No candidate was predicted below 0.375: search with --max-latency 0.375." in (
        " ".join(capsys.readouterr().out.split())
    )
    for number, (loss, latency) in enumerate([(2.0, 0.3), (1.5, 0.37), (3.0, 0.1)], start=1):
        add(run, number, loss, latency)
    add(run, 4, loss=0.2, latency=0.2, status="pruned")
    comparison.measure({"found": model}, {"found": 0.45})
    said = " ".join(capsys.readouterr().out.split())
    assert "The next point is trial 2, predicted 0.370: `autobert select" in said
    assert "--max-latency 0.375 --train` trains it." in said


def test_a_kept_limit_is_not_worth_a_word(comparison, run, model, baseline, monkeypatch, capsys):
    row = {"ratio": 0.51, "error": 0.01, "reference": "the teacher"}  # within two standard errors
    monkeypatch.setattr(
        timed_comparison, "measured_rows", lambda path, models, *rest, **more: dict.fromkeys(models, row)
    )
    comparison.record({"found": model, "default rule": baseline}, {"found": 0.45, "default rule": 0.4})
    assert capsys.readouterr().out == ""
    written = read_record(run.path / "report" / "baselines.json")
    assert written == {"3": {"limit": 0.5, "networks": {"found": {"time": 0.51}, "default rule": {"time": 0.51}}}}


def test_baselines_of_two_trials_stand_beside_each_other(comparison, measured, run, model):
    add(run, 0, loss=1.0, latency=0.1)
    comparison.record({"found": model}, {"found": 0.45})
    other = Trial(9, TRIAL.proposal, 0, {"loss": 1.0, "latency": 0.7})
    TimedComparison(run, other, comparison.latency, comparison.text, None).record({"found": model}, {"found": 0.7})
    written = read_record(run.path / "report" / "baselines.json")
    assert {number: row["limit"] for number, row in written.items()} == {"3": 0.5, "9": 0.8}
