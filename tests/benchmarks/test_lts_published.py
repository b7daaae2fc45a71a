"""The published models of LiteTransformerSearch: counts of some rows, and of all where the tables are at hand."""

import os
import sys
from pathlib import Path

import pytest


sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "searchers"))

import lts_published  # noqa: E402 (a script, not a package)


FOLDER = Path(os.environ.get("LTS_TABLES", Path(__file__).parents[3] / "shared/data/lts"))
needs_tables = pytest.mark.skipif(not FOLDER.exists(), reason="the published tables are not here (LTS_TABLES)")

# Rows of the released tables: family, sizes, decoder parameters.
ROWS = [
    ("GPT2", "384", "[3840, 2432]", "[2, 2]", 6_010_496),
    ("GPT2", "320", "[2176, 3072, 2496]", "[2, 2, 2]", 6_201_984),
    ("TransXL", "512", "[1216, 1280]", "[2, 2]", 5_187_008),
    ("TransXL", "320", "[1472, 2368, 3392]", "[2, 4, 2]", 6_178_432),
    ("TransXL", "64", "[710, 1021, 1683, 1053, 1748]", "[4, 2, 2, 8, 8]", 906_375),
    ("TransXL", "128", "[1451, 637, 1959, 745, 1354, 1319, 1855, 1490]", "[2, 2, 4, 4, 2, 8, 8, 4]", 3_440_698),
]


@pytest.mark.parametrize(("family", "width", "inner", "heads", "expected"), ROWS)
def test_decoder_parameters_are_the_published_ones(family, width, inner, heads, expected):
    row = {"d_model": width, "d_inner": inner, "n_head": heads}
    assert lts_published.COUNTS[family](lts_published.config_of(row)) == expected


def test_the_two_rules_differ_by_attention_and_the_last_norm():
    config = lts_published.config_of({"d_model": "64", "d_inner": "[128, 256]", "n_head": "[2, 4]"})
    own, xl = (lts_published.COUNTS[family](config) for family in ("GPT2", "TransXL"))
    assert xl - own == 2 * (64 * 64 + 2 * 64 - 4 * 64) - 2 * 64


def test_what_a_table_says_is_counted():
    rows = [
        {"model": name, "decoder_parameters": size, "latency": time, "peak_memory_mb": memory, "valid_perplexity": ppl}
        for name, size, time, memory, ppl in (
            ("a", "10", "1.0", "5", "30"),
            ("b", "10", "2.0", "6", "31"),  # as large as a, so it stays
            ("c", "9", "1.5", "6", "35"),
            ("d", "20", "3.0", "9", "20"),
        )
    ]
    assert lts_published.kept(rows) == ["a", "b", "d"]
    assert lts_published.kept(rows, keep_ties=False) == ["a", "d"]
    assert lts_published.spearman(rows, "decoder_parameters") == pytest.approx(0.9487, abs=1e-3)


@needs_tables
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_every_published_row(path):
    assert lts_published.wrong_rows(path) == []


@needs_tables
@pytest.mark.parametrize(
    ("name", "rho"), [("random_GPT2_wt103", 0.967), ("random_TransXL_wt103", 0.974), ("random_TransXL_lm1b", 0.999)]
)
def test_the_published_rank_correlations(name, rho):
    rows = lts_published.read_rows(FOLDER / f"{name}.csv")
    assert lts_published.spearman(rows, "decoder_parameters") == pytest.approx(rho, abs=0.0005)


@needs_tables
@pytest.mark.parametrize(
    ("name", "stay", "rows"),
    [
        ("pareto_GPT2_lm1b_corei7", 38, 38),
        ("pareto_GPT2_lm1b_titanxp", 39, 39),
        ("pareto_TransXL_lm1b_arm", 33, 39),
        ("pareto_TransXL_lm1b_corei7", 31, 35),
    ],
)
def test_the_filter_on_the_published_fronts(name, stay, rows):
    table = lts_published.read_rows(FOLDER / f"{name}.csv")
    assert (len(lts_published.kept(table)), len(table)) == (stay, rows)
