"""The rank check asks no method what it is: of AutoTinyBERT and of one's own it knows what their parts tell."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from autobert_hf import AutoBertConfig
from autobert_hf.api import open_run, reopen
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.measuring import latency_samples
from autobert_hf.lab.measuring.paired_times import Ratio
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.analysis.rank_check import INHERITED, SCRATCH_SHORT, STAND_ALONE, UNTRAINED, RankCheck
from autobert_hf.searchers.analysis.rank_inputs import check_inputs
from autobert_hf.searchers.analysis.rank_report import CONVOLUTIONS, judged, rank_report, table
from autobert_hf.searchers.evaluators import FunctionEvaluator
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.autotinybert import AutoTinyBertSettings
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import SearchSettings


TOKENS = 2000


def count_work(models: Mapping[str, Any], *rest: Any, **options: Any) -> dict[str, Ratio]:
    times = {
        name: 0.05 + count_flops(model.config, 16) / 3.5e6 if isinstance(model.config, AutoBertConfig) else 1.0
        for name, model in models.items()
    }
    return {name: Ratio(time, time, time, time, time, False, 0.0, 6) for name, time in times.items()}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Path) -> Path:
    """AutoTinyBERT's supernet and candidates, without the final training."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "text.txt").write_text("\n\n".join(corpus(120, seed=0)))
    text = {"train_file": [str(folder / "text.txt")], "teacher": str(tiny_teacher), "length": 24, "final_tokens": 400}
    budget = {"num_trials": 4, "population": 2, "supernet_steps": 3, "latency_samples": 5, "latency_length": 16}
    sizes = {"width_step": 8, "inner_step": 8, "max_latency": "0.9", "batch_size": 8, "held_out_rows": 16}
    machine = {"shards": 2, "mixed_precision": "no", "cpu": True}
    settings = AutoTinyBertSettings(str(folder / "run"), "autotinybert", **text, **budget, **sizes, **machine)
    with open_run(settings) as run, pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency_samples, "measure_latency", count_work)
        METHODS["autotinybert"](run, settings).study()
    return run.path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def checked(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RankCheck, list[dict]]:
    before = contents(searched)
    check = RankCheck(reopen(searched), tmp_path_factory.mktemp("check"), TOKENS)
    records = check.run(4, [0, 1])
    assert contents(searched) == before
    return check, records


def of_kind(records: list[dict], kind: str) -> list[dict]:
    return [record for record in records if record["kind"] == kind]


def test_candidates_are_judged_as_the_run_judged_them(searched: Path, checked: tuple[RankCheck, list[dict]]) -> None:
    check, records = checked
    trial = next(trial for trial in check.trials if trial.ok)
    assert check.untouched_loss(trial.architecture) == pytest.approx(trial.scores["loss"], rel=1e-6)
    inherited = of_kind(records, INHERITED)
    for record in inherited:
        assert record["scores"]["loss"] == record["scores"]["loss before training"]
        assert record["scores"]["latency"] > 0
        assert "tokens" not in record["cost"]
    assert len({record["scores"]["loss"] for record in inherited}) == 4


def test_networks_that_are_trained_alone_learn_the_losses_of_the_teacher(
    checked: tuple[RankCheck, list[dict]],
) -> None:
    check, records = checked
    step = check.text.train.tokens_per_batch
    for kind, tokens in ((SCRATCH_SHORT, step), (STAND_ALONE, TOKENS // step * step)):
        assert all(record["status"] == "done" for record in of_kind(records, kind))
        assert {record["cost"]["tokens"] for record in of_kind(records, kind)} == {tokens}
    first, second = (
        [record["scores"]["loss"] for record in of_kind(records, STAND_ALONE) if record["seed"] == seed]
        for seed in (0, 1)
    )
    assert first != second
    model = check.fresh(check.architectures(1)[0], 3)
    start = HeldOut(check.new_loss(model), check.text.held_out, check.team)(model.eval())
    assert first[0] < start


def test_one_loss_compares_networks_of_all_sizes(checked: tuple[RankCheck, list[dict]]) -> None:
    """Its own parameters are as large as the largest network asks for, and new each time."""
    check, _ = checked
    small, large = check.method.space.smallest(), check.method.space.largest()
    losses = [check.new_loss(check.fresh(one, 0)) for one in (small, large, small)]
    shapes = [{name: p.shape for name, p in loss.named_parameters()} for loss in losses]
    assert shapes[0] == shapes[1] == {name: p.shape for name, p in check.loss.named_parameters()}
    assert losses[0].map.weight.equal(losses[2].map.weight)
    assert not losses[0].map.weight.equal(losses[1].map.weight)


def test_the_report_has_what_the_method_knows(checked: tuple[RankCheck, list[dict]]) -> None:
    check, records = checked
    found = judged(records, [0, 1], check.method.goals.main, check.known_sizes)
    report = rank_report(found, check.costs(), {"tokens": TOKENS, "seeds": [0, 1]} | check.names)
    assert set(report["scores"]) == {INHERITED, UNTRAINED, SCRATCH_SHORT, "FLOPs", "parameters", "latency"}
    assert CONVOLUTIONS not in report["scores"]  # there are none
    assert report["points"]["latency"] == [-record["scores"]["latency"] for record in of_kind(records, INHERITED)]
    cost = report["scores"][INHERITED]["cost"]
    assert cost["trained"] == 0
    assert cost["once"] == cost["warm_up"] == 3 * check.text.train.tokens_per_batch
    assert report["study"]["unit"] == "distillation loss"
    assert len(table(report)) > 10
    json.dumps(report)


def test_a_check_goes_on_where_it_was_stopped(searched: Path, checked: tuple[RankCheck, list[dict]]) -> None:
    check, records = checked
    again = RankCheck(reopen(searched), check.journal.path.parent, TOKENS)
    assert again.tokens_left(4, [0, 1]) == 0
    assert again.run(4, [0, 1]) == records


class Toy(Method):
    """Nothing but what AutoTinyBERT's run has left, judged by a function that knows better the wider a network is."""

    Settings = SearchSettings

    def __init__(self, run: Run, settings: Any) -> None:
        whole = reopen(run.path)
        self.run, self.space, self.base, self.text, self.loss = run, whole.space, whole.base, whole.text, whole.loss
        self.supernets = whole.supernets
        self.goals = Goals((GOALS["task_score"],))
        self.evaluator = FunctionEvaluator(lambda one: {"task_score": float(one["hidden_size"])}, ["task_score"])

    def study(self) -> Study:
        raise AssertionError("a rank check neither searches nor trains by the method")

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        raise AssertionError("a rank check neither searches nor trains by the method")


@pytest.fixture
def toy(searched: Path) -> Toy:
    return Toy(reopen(searched).run, None)


def test_a_method_of_ones_own_with_a_score_that_is_to_be_large(toy: Toy, tmp_path: Path) -> None:
    check = RankCheck(toy, tmp_path, TOKENS)
    records = check.run(3, [0])
    found = judged(records, [0], toy.goals.main, check.known_sizes)
    widths = [architecture["hidden_size"] for architecture in check.architectures(3)]
    assert found.cheap[INHERITED] == [-float(width) for width in widths]
    assert set(found.cheap) == {INHERITED, UNTRAINED, SCRATCH_SHORT, "FLOPs", "parameters"}


@pytest.mark.parametrize(
    ("name", "empty", "said"),
    [
        ("supernets", {}, "has no supernet: `analyze ranking` compares inherited scores"),
        ("evaluator", None, "has no evaluator: `analyze ranking` asks how well its scores rank"),
        ("loss", None, "has no loss: `analyze ranking` compares with networks that are trained alone"),
        ("text", None, "has no text: `analyze ranking`"),
        ("base", None, "has no configuration around its architectures: `analyze ranking`"),
    ],
)
def test_a_method_that_lacks_a_part_is_refused_by_its_name(toy: Toy, name: str, empty: Any, said: str) -> None:
    setattr(toy, name, empty)
    with pytest.raises(RunError, match=said):
        check_inputs(toy)


def test_a_run_whose_training_goes_on_is_refused(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "supernet").mkdir()
    (tmp_path / "supernet" / "training-weights.safetensors").write_bytes(b"")
    toy.run = Run(tmp_path, 0, toy.run.team)
    with pytest.raises(RunError, match=r"holds no trained supernet: let its search go on first"):
        check_inputs(toy)
