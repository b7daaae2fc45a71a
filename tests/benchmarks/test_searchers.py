"""The benchmarks of searchers in small form: what they state about landscapes, searches and shares holds."""

import gzip
import json
import os
import sys
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import numpy as np
import pytest

from autobert_hf.searchers.analysis.rank_statistics import rank_agreement
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace


sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "searchers"))

import additive_share  # noqa: E402 (scripts, not a package)
import autodistil  # noqa: E402
import compare  # noqa: E402
import nas_bench_bert  # noqa: E402
import planted_search  # noqa: E402
import share_estimate  # noqa: E402
from landscapes import DrawnSpace, Landscape, draw_networks  # noqa: E402
from objective_noise import reliability  # noqa: E402
from paired_statistics import paired  # noqa: E402

from ..testing.world import World  # noqa: E402


SPACE = AutoBertZeroSpace(num_hidden_layers=2)
OPTIONS = {"population": 20, "parents": 2, "children": 5}
PUBLISHED = Path(os.environ.get("NAS_BENCH_BERT", Path(__file__).parents[3] / "shared/data/nas_bench_bert"))


@pytest.fixture(scope="module")
def space() -> DrawnSpace:
    return DrawnSpace(SPACE, draw_networks(SPACE, 500))


@pytest.fixture(autouse=True)
def coarse_shares(monkeypatch) -> None:
    """Shares in steps of 0.08 instead of 0.04: a quarter of the time."""
    monkeypatch.setattr(share_estimate, "GRID", [(h, i) for h, i in share_estimate.GRID if is_even(h) and is_even(i)])


def is_even(share: float) -> bool:
    return round(share / 0.04) % 2 == 0


@pytest.mark.parametrize(("additive", "occupancy"), [(1.0, 0.0), (0.5, 0.2), (0.05, 0.0), (0.0, 0.6)])
def test_shares_of_a_landscape_hold_exactly_on_the_reference(space, additive, occupancy) -> None:
    landscape = Landscape(space, 3, additive, occupancy)
    split = landscape.split(space.networks)
    values = [landscape.value(network) for network in space.networks]
    assert np.allclose(values, split.sum(1))
    assert np.mean(values) == pytest.approx(0, abs=1e-9)
    assert np.cov(split.T, bias=True) == pytest.approx(
        np.diag([occupancy, additive, 1 - additive - occupancy]), abs=1e-9
    )


def test_landscapes_differ_by_seed_alone(space) -> None:
    one, again, other = (Landscape(space, seed, 0.5).value(space.networks[0]) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("additive", [0.0, 0.6])
def test_the_additive_share_is_estimated_back(space, additive) -> None:
    """From 150 random networks, in three rounds that differ by a constant."""
    networks = Random(9).sample(space.networks, 150)
    rounds = [number % 3 for number in range(150)]
    found, true = [], []
    for seed in range(5):
        landscape = Landscape(space, seed, additive, occupancy=0.2)
        noise = np.random.default_rng(seed).normal(0, 0.3, 150)
        values = landscape.split(networks).sum(1) + noise + 5 * np.array(rounds)
        sample = additive_share.Evaluated(networks, values, rounds)
        shares = sample.shares(space)
        assert shares.occupancy + shares.additive + shares.interactions + shares.rest == pytest.approx(1)
        assert shares.low <= shares.additive <= shares.high
        found.append(shares.additive)
        true.append(sample.truth(space, landscape))
    assert fmean(true) == pytest.approx(additive / 1.09, abs=0.1)
    assert fmean(found) == pytest.approx(fmean(true), abs=0.15)


def test_pure_noise_has_no_shares() -> None:
    rng = np.random.default_rng(0)
    x, pairs = rng.poisson(1.0, (120, 40)).astype(float), rng.poisson(0.2, (120, 300)).astype(float)
    sums = np.repeat(np.eye(4), 10, axis=0)
    found = [share_estimate.estimate(rng.normal(size=120), x, pairs, sums, [0] * 60 + [1] * 60) for _ in range(6)]
    assert abs(fmean(shares.occupancy for shares in found)) < 0.03
    assert fmean(shares.additive for shares in found) < 0.12
    assert fmean(shares.predicted for shares in found) < 0.03
    by_genes = share_estimate.estimate(x @ rng.normal(size=40), x, pairs, sums, [0] * 120)
    assert by_genes.rest + by_genes.interactions < 0.08
    by_pairs = share_estimate.estimate(pairs @ rng.normal(size=300), x, pairs, sums, [0] * 120)
    assert by_pairs.interactions > 0.6


def test_searches_of_a_landscape_start_alike_and_report_the_truth(space) -> None:
    landscape = Landscape(space, 5, 0.5)
    first = []
    for method in ("random", "evolution", "op-nas"):
        found = [*planted_search.trials(method, OPTIONS, landscape, 0.3, 40)]
        assert [true for _, true in found] == [landscape.value(trial.architecture) for trial, _ in found]
        assert {trial.proposal.parent for trial, _ in found[20:]} == {None} or method != "random"
        first.append(found[:20])
        incumbents = planted_search.search(method, OPTIONS, landscape, 0.3, 40)
        best = max(found, key=lambda pair: pair[0].scores["value"])
        assert planted_search.at(incumbents, 40) == pytest.approx((best[0].scores["value"], best[1]), abs=1e-3)
    assert first[0] == first[1] == first[2]
    errors = [trial.scores["value"] - true for trial, true in first[0]]
    assert 0.15 < stdev(errors) < 0.5


def test_evaluations_needed_and_values_at_a_number() -> None:
    incumbents = [(1, 0.5, 0.2), (4, 1.5, 0.9), (9, 2.0, 0.7)]
    assert [planted_search.at(incumbents, n) for n in (1, 3, 4, 8, 99)] == [
        (0.5, 0.2), (0.5, 0.2), (1.5, 0.9), (1.5, 0.9), (2.0, 0.7),
    ]  # fmt: skip
    assert [planted_search.needed(incumbents, level) for level in (0.1, 0.8, 1.0)] == [1, 4, float("inf")]


def test_paired_statistics_by_hand() -> None:
    found = paired([3.0, 5.0, 4.0, 6.0], [1.0, 4.0, 4.0, 7.0])
    assert found["difference"] == 0.5
    assert found["ahead"] == (2 + 0.5) / 4
    assert found["d"] == pytest.approx(0.5 / ((5 / 3 + 6) / 2) ** 0.5, abs=1e-4)
    assert found["d_paired"] == pytest.approx(0.5 / (5 / 3) ** 0.5, abs=1e-4)
    assert found["difference_low"] <= -0.25 < 1.25 <= found["difference_high"]
    certain = paired([1.0 + 0.01 * i for i in range(50)], [0.01 * i for i in range(50)])
    assert certain["difference_low"] == certain["difference_high"] == 1


def run_small(folder: Path) -> dict:
    arguments = ["--landscapes", "2", "--tuning", "1", "--evaluations", "40", "--networks", "40", "--layers", "2"]
    sys.argv = ["compare.py", "--run", str(folder / "run"), "--output", str(folder / "o.json"), *arguments]
    sys.argv += ["--figure", str(folder / "curves.png")]
    compare.main()
    return json.loads((folder / "o.json").read_text())


def test_the_comparison_in_small_resumes(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(compare, "LOOPS", compare.LOOPS[:2])
    monkeypatch.setattr(compare, "GUIDES", compare.GUIDES[:2])
    whole = run_small(tmp_path)
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert whole["shares"].keys() == {"1.0", "0.5", "0.2", "0.05"}
    values = whole["shares"]["0.5"]["incumbent"]["40"]
    assert values.keys() == {"random", "evolution", "op-nas", "unscored"}
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 4 * (2 + 2) + 4 * 2 * 4
    journal.write_text("".join(lines[:17]) + lines[17][:40])
    assert run_small(tmp_path) == whole
    assert journal.read_text().splitlines(keepends=True) == lines
    monkeypatch.setattr(compare, "search", None)
    assert run_small(tmp_path) == whole, "everything is known, nothing is searched"


def test_the_prediction_in_small(space, monkeypatch) -> None:
    monkeypatch.setattr(additive_share, "TRUTHS", (0.2, 0.5, 0.8))
    networks = draw_networks(SPACE, 60, seed=4)
    values = Landscape(space, 1, 0.5).split(networks).sum(1)
    sample = additive_share.Evaluated(networks, values, [0] * 60)
    shares = sample.ranked().shares(space)
    found = additive_share.predict(space, shares, noise=0.1, budgets=(55, 65), pairs=3)
    assert {found[budget]["n"] for budget in ("55", "65")} == {3}
    rows = additive_share.validate(space, sample, occupancy=0.4, noise=0.3, landscapes=2)
    assert [row["planted"] for row in rows] == [0.2, 0.2, 0.5, 0.5], "0.8 and 0.4 are more than there is"


def test_reliability_by_hand() -> None:
    found = reliability([[1.0, 1.2], [2.0, 2.2], [3.0, 3.2]])
    assert found["sd_within"] == pytest.approx(0.02**0.5)
    assert found["sd_between"] == pytest.approx((1 - 0.01) ** 0.5)
    assert found["reliability"] == pytest.approx(0.99 / 1.01)


def test_autodistils_claims_in_small_form(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Every part but the searches leaves its table; a repeated command makes nothing again, an earlier end is said."""
    world = World(tmp_path)
    work = {"--work": tmp_path / "work", "--output": tmp_path / "out.json", "--train-file": world.file}
    sizes = {"--seeds": 2, "--steps": 1, "--networks": 4, "--alone-steps": 1, "--length": 16, "--held-out-rows": 8}
    asked = work | sizes | {"--teacher": world.teacher_folder, "--max-train-tokens": "20K", "--batch-size": 4}
    command = [str(part) for pair in asked.items() for part in pair]
    autodistil.main([*command, "--parts", "boxes", "--minutes", "0"])
    assert "0 minutes are used up" in capsys.readouterr().out
    autodistil.main([*command, "--parts", "boxes", "policies", "ranking"])
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found["boxes"]) == {"K=1 0", "K=1 1", "K=3 0", "K=3 1"}
    (row, *others) = found["boxes: K=1 minus K=3"]
    assert row["difference"] == pytest.approx(row["K=1"] - row["K=3"]) and len(others) >= 3
    assert len(found["policies: uniform minus K=3"]) == 5
    assert set(found["agreement"]) == {"inherited", "FLOPs", "ceiling"} and len(found["alone"]) == 8
    capsys.readouterr()
    autodistil.main([*command, "--parts", "boxes", "policies", "ranking", "--minutes", "0"])
    assert json.loads((tmp_path / "out.json").read_text()) == found


def network(number: int, hidden_size: int, heads: int, layers: int, glue: float) -> dict:
    layer = {"operation_type": "SA", "operation_parameter": "SDP", "num_operation_heads": heads}
    choices = {"hidden_size": hidden_size, "nas_config": {"encoder_layers": [layer] * layers}}
    return {"id": number, "scores": {"glue": glue}, "hparams": {"model_hparam_overrides": choices}}


@pytest.fixture
def small_benchmark(tmp_path: Path) -> Path:
    """Six networks in two cells; the first two are one architecture."""
    shapes = [
        (128, 2, 2, 60.0),
        (128, 2, 2, 61.0),
        (128, 4, 2, 62.0),
        (256, 2, 4, 70.0),
        (256, 4, 4, 74.0),
        (256, 8, 4, 72.0),
    ]
    records = [network(number, *shape) for number, shape in enumerate(shapes)]
    with gzip.open(tmp_path / nas_bench_bert.BENCHMARK, "wt") as file:
        json.dump(records, file)
    rows = [f"{r['id']},{r['scores']['glue']},{1000 - r['id']}" for r in records]
    with gzip.open(tmp_path / nas_bench_bert.METRICS, "wt") as file:
        file.write("\n".join(["ID,GLUE Score,Number of Parameters", *rows]) + "\n")
    return tmp_path


def test_nas_bench_bert_is_read(small_benchmark) -> None:
    networks = nas_bench_bert.read(small_benchmark)
    found = nas_bench_bert.figures(networks)
    assert (found["networks"], found["architectures"]) == (6, 5)
    assert [n.cell for n in networks] == [(128, 2)] * 3 + [(256, 4)] * 3
    assert networks[4].metrics == {"Number of Parameters": 996.0}
    assert found["glue"] == {"min": 60, "median": 66, "max": 74}
    assert found["seed noise"] == {"sd": pytest.approx(0.5**0.5), "architectures trained again": 1}
    assert found["agreement with glue"]["Number of Parameters"]["kendall"]["value"] == pytest.approx(-13 / 15)
    errors = 1.5**2 * (1 + 1) + 1.5**2 * (2**2 + 2**2)
    total = 1.2**2 * sum((score - 66.5) ** 2 for score in (60, 61, 62, 70, 74, 72))
    assert found["R2 of width and depth"] == pytest.approx(1 - errors / total)


def test_files_of_two_copies_are_refused(small_benchmark) -> None:
    with gzip.open(small_benchmark / nas_bench_bert.METRICS, "wt") as file:
        file.write("ID,GLUE Score,Number of Parameters\n0,60.0,1\n1,99.0,2\n")
    with pytest.raises(ValueError, match=r"network 1 has GLUE 99.0, .* says 61.0: take both files from one copy"):
        nas_bench_bert.read(small_benchmark)


@pytest.mark.parametrize("budget", [1, 2, 4])
def test_the_expected_best_is_the_mean_over_all_draws(budget) -> None:
    scores = [Random(number).random() for number in range(6)]
    every = fmean(max(drawn) for drawn in combinations(scores, budget))
    assert nas_bench_bert.expected_best(scores, budget) == pytest.approx(every)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="NAS_BENCH_BERT names no folder of the two files")
def test_the_published_files_give_the_published_figures() -> None:
    networks = nas_bench_bert.read(PUBLISHED)
    glue = [network.scores["glue"] for network in networks]
    assert len(networks) == 500
    assert len({network.architecture for network in networks}) == 491
    assert (round(min(glue), 1), max(glue)) == (53.7, 75.13)
    parameters = [network.metrics["Number of Parameters"] for network in networks]
    agreement = rank_agreement({"parameters": parameters}, glue)["parameters"]
    assert agreement["kendall"].value == pytest.approx(0.454, abs=5e-4)
    assert agreement["spearman"].value == pytest.approx(0.652, abs=5e-4)
    best = [nas_bench_bert.expected_best(glue, budget) for budget in nas_bench_bert.BUDGETS]
    assert best == pytest.approx([73.5, 74.1, 74.4, 74.6, 74.9], abs=0.06)
    assert nas_bench_bert.seed_noise(networks) == (pytest.approx(0.6, abs=5e-3), 9)
