"""LiteTransformerSearch from the command line to a network that generates, and what it refuses."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

import autobert_hf
from autobert_hf.cli import main
from autobert_hf.commands.search import parse_settings
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.measuring import final_latency, latency_samples
from autobert_hf.lab.measuring.paired_clock import PairedClock
from autobert_hf.lab.measuring.paired_times import Ratio
from autobert_hf.modeling.arithmetic import count_encoder_parameters, count_parameters
from autobert_hf.records.goals import PROXIES
from autobert_hf.records.run_folder import RunError, read_report
from autobert_hf.records.study import StudyError
from autobert_hf.searchers import measured_front
from autobert_hf.searchers.analysis.rank_inputs import check_inputs
from autobert_hf.searchers.methods.lts import LtsSettings
from autobert_hf.searchers.settings.front import Proxy
from autobert_hf.searchers.space_summary import LimitError


TINY = {
    **{"depths": ["1", "2", "3"], "widths": ["8", "16"], "inner_sizes": ["32", "48"], "heads": ["2"]},
    **{"num_trials": 16, "population": 8, "parents": 2, "children": 2, "points": 5},
    **{"vocab_size": 50, "length": 32, "latency_length": 16, "cpu": True},
}


def time_of(model) -> float:
    return count_parameters(model.config) / 1e5


def ratio(time: float) -> Ratio:
    return Ratio(time, time, time, time, time, False, 0.0, 6)


def again(models, *_, slow=0, **__) -> dict[str, Ratio]:
    """Networks with `slow` layers take a hundred times as long."""
    factors = {name: 100 if model.config.num_hidden_layers == slow else 1 for name, model in models.items()}
    return {name: ratio(factors[name] * time_of(model)) for name, model in models.items()}


@pytest.fixture
def clock(monkeypatch):
    """Times and memory that follow from the size."""
    monkeypatch.setattr(PairedClock, "__call__", lambda clock, model: ratio(time_of(model)))
    monkeypatch.setattr(final_latency, "measure_latency", again)
    monkeypatch.setattr(
        measured_front, "process_memory", lambda configs, workload: [count_parameters(c) / 1e4 for c in configs]
    )


@pytest.mark.usefixtures("clock")
def test_the_front_is_saved_and_generates(tmp_path: Path, capsys):
    command = [part for name, value in TINY.items() for part in _option(name, value)]
    assert main(["search", "--method", "lts", *command, "--output-dir", str(tmp_path)]) == 0
    assert "decoder parameters" in capsys.readouterr().out
    study = autobert_hf.load_study(tmp_path)
    picks = study.picks()
    assert [*picks][:3] == ["model", "model-2", "model-3"]
    sizes = [trial.scores["decoder_parameters"] for trial in picks.values()]
    assert sizes == sorted(sizes, reverse=True)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model-3")
    assert model.config.is_decoder
    assert model.config.untrained
    assert count_encoder_parameters(model.config) == picks["model-3"].scores["decoder_parameters"]
    written = model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert written.shape == (1, 7)
    again = study.model(picks["model-3"])
    assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)
    with pytest.raises(StudyError, match="no training"):
        study.model(picks["model"], train=True)


def _option(name: str, value) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [f"--{name}"] + ([] if value is True else [str(one) for one in values])


@pytest.mark.usefixtures("clock")
def test_an_encoder_is_a_masked_language_model(tmp_path: Path):
    study = autobert_hf.search("lts", **TINY, space="encoder", output_dir=tmp_path, memory=False)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    assert not model.config.is_decoder
    assert [goal.name for goal in study.goals.goals] == ["decoder_parameters", "latency"]


@pytest.mark.usefixtures("clock")
def test_points_that_were_noise_leave_the_front(tmp_path: Path, monkeypatch):
    """The clock of the search flatters networks of one layer; measured again they are slower than larger ones."""
    monkeypatch.setattr(final_latency, "measure_latency", partial(again, slow=1))
    with pytest.warns(UserWarning, match="do not stay on the front"):
        study = autobert_hf.search("lts", **TINY, memory=False, output_dir=tmp_path)
    points = read_report(tmp_path / "report" / "measured-front.json")["points"]
    left = {int(number) for number, point in points.items() if not point["kept"]}
    assert left == {int(number) for number in points if len(study.trials[int(number)].architecture.layers) == 1}
    assert left
    assert {trial.id for trial in study.picks().values()} == {int(number) for number in points} - left
    assert all(points[str(number)]["first"] != points[str(number)]["scores"] for number in left)
    assert all("better in all goals" in points[str(number)]["reason"] for number in left)


@pytest.mark.usefixtures("clock")
def test_a_front_with_one_point(tmp_path: Path):
    one = TINY | {"depths": ["2"], "widths": ["8"], "inner_sizes": ["32"], "num_trials": 9}
    study = autobert_hf.search("lts", **one, output_dir=tmp_path)
    assert len(study.trials) == 1  # there is no more in the space
    assert [*study.picks()] == ["model"]
    study.report()


@pytest.mark.usefixtures("clock")
def test_baselines_are_measured_beside_the_front(tmp_path: Path):
    autobert_hf.search("lts", **TINY, output_dir=tmp_path)
    found = read_report(tmp_path / "report" / "measured-front.json")["baselines"]
    assert [*found] == [f"scaled in depth, {depth} layers" for depth in (1, 2, 3)]
    assert all({"decoder_parameters", "latency", "memory"} <= {*scores} for scores in found.values())


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"max_latency": 1e-6}, "--max-latency 1e-06 is out of reach: the smallest network"),
        ({"max_memory": 1e-6}, "--max-memory 1e-06 is out of reach: the smallest network"),
        ({"max_decoder_params": "100"}, "--max-decoder-params 100 is out of reach: the smallest network"),
        ({"min_decoder_params": "1G"}, "--min-decoder-params 1e.09 is out of reach: the largest network"),
    ],
)
def test_limits_that_no_network_keeps(tmp_path: Path, given, sentence):
    with pytest.raises(LimitError, match=sentence):
        autobert_hf.search("lts", **TINY, **given, output_dir=tmp_path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"latency_length": 64}, "latency_length is 64, more than the context of 32"),
        ({"inner_sizes": ["16"]}, "hidden_size 16 has no legal intermediate_size"),
        ({"widths": ["wide"]}, "hidden_size holds wide: give whole numbers"),
        ({"memory": False, "max_memory": 3.0}, "--max-memory needs peak memory"),
        ({"min_decoder_params": 9.0, "max_decoder_params": 8.0}, "swap them"),
    ],
)
def test_settings_that_do_not_fit_together(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        LtsSettings("o", "lts", **TINY | given)


def test_the_papers_settings():
    found = parse_settings(["--output-dir", "o", "--method", "lts", "--preset", "paper"])
    assert (found.num_trials, found.population, found.parents, found.children) == (2500, 100, 20, 4)
    assert found.ranges == autobert_hf.searchers.spaces.lts.RANGES["gpt2"]
    assert (found.min_decoder_params, found.max_decoder_params, found.latency_length) == (6e6, 100e6, 192)
    assert found.front_goals().keep_ties
    assert not replace(found, front="pareto").front_goals().keep_ties


def test_every_proxy_is_offered():
    assert set(Proxy.__args__) == set(PROXIES)


@pytest.mark.usefixtures("clock")
def test_a_tool_that_needs_a_loss_says_so(tmp_path: Path):
    study = autobert_hf.search("lts", **TINY, output_dir=tmp_path)
    with study.opened() as method, pytest.raises(RunError, match="has no supernet"):
        check_inputs(method)


@pytest.mark.usefixtures("clock", "rendering")
def test_points_of_the_front_are_trained_beside_a_baseline(tmp_path: Path):
    (tmp_path / "text.txt").write_text("\n\n".join(corpus(60, seed=0)))
    text = {"train_file": [str(tmp_path / "text.txt")], "batch_size": 4, "final_tokens": 4000, "held_out_rows": 8}
    given = TINY | text | {"vocab_size": 200, "train_front": 2, "output_dir": tmp_path / "out"}
    study = autobert_hf.search("lts", **given)
    trained = read_report(tmp_path / "out" / "report" / "trained-front.json")["trials"]
    assert len(trained) == 2
    for name, trial in study.picks().items():
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / name)
        assert model.config.untrained == (trial.id not in trained)
        card = (tmp_path / "out" / name / "README.md").read_text()
        assert ("Nothing was trained" in card) == model.config.untrained
        assert ("perplexity is" in card) == (trial.id in trained)
        report = read_report(tmp_path / "out" / "report" / f"training-{trial.id:06d}.json")
        assert [*report.get("curves", {})] == (["found", "scaled in depth"] if trial.id in trained else [])
    # A trained point is read again, not trained again.
    again = autobert_hf.load_study(tmp_path / "out").model(study.data.trials[trained[0]])
    assert not again.config.untrained
    other = next(trial for trial in study.picks().values() if trial.id not in trained)
    assert study.model(other).config.untrained
    assert not study.model(other, train=True).config.untrained


def test_a_text_that_nothing_reads_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="nothing is trained on it: give --train-front"):
        autobert_hf.search("lts", **TINY, train_file=["text.txt"], output_dir=tmp_path)
    with pytest.raises(ValueError, match="--loss mlm trains encoders, and this run searches for decoders"):
        autobert_hf.search("lts", **TINY, loss="mlm", output_dir=tmp_path)


@pytest.mark.usefixtures("clock")
@pytest.mark.slow
def test_another_machine_measures_anew(tmp_path: Path, monkeypatch):
    autobert_hf.search("lts", **TINY, output_dir=tmp_path)
    again = autobert_hf.search("lts", **TINY, output_dir=tmp_path)
    assert not [*tmp_path.glob("journal-other-machine-*")]
    monkeypatch.setattr(latency_samples, "machine_name", lambda device="cpu": "another one")
    elsewhere = autobert_hf.search("lts", **TINY, output_dir=tmp_path)
    assert [*tmp_path.glob("journal-other-machine-0.jsonl")]
    assert len(elsewhere.trials) == len(again.trials)
