"""MAGIC's study in small form: its parts run and resume, and its table states what was found."""

import json
import sys
from pathlib import Path

import pytest


sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "searchers"))

import chain_study  # noqa: E402 (scripts, not a package)
import digits  # noqa: E402


def test_every_policy_is_trained_once(tmp_path, capsys):
    sizes = {"chains": 6, "steps": 2, "supernet-steps": 3, "truth-seeds": 1, "seeds": 1, "width": 16, "heads": 2}
    options = [part for name, value in sizes.items() for part in (f"--{name}", str(value))]
    command = [*options, "--layers", "4", "--output", str(tmp_path / "digits.json")]
    digits.main([*command, "--parts", "truth"])
    digits.main(command)
    found = json.loads((tmp_path / "digits.json").read_text())
    assert {*found["supernets"]} == {f"{policy} 0" for policy in chain_study.POLICIES}
    assert len({tuple(row["found"]) for row in found["supernets"].values()}) == len(chain_study.POLICIES)
    capsys.readouterr()
    digits.main(command)
    assert "truth" not in capsys.readouterr().out, "made again"
    with pytest.raises(SystemExit, match="give another --output"):
        digits.main([*command, "--learning-rate", "1"])


def test_the_table_is_of_ranks_paired_by_seed():
    truth = [1.0, 2.0, 3.0, 4.0]
    found = {
        "truth": {f"{at} {seed}": {"found": value + seed} for at, value in enumerate(truth) for seed in (0, 1)},
        "supernets": {
            "single-path 0": {"found": [1, 2, 3, 4]},
            "single-path 1": {"found": [2, 1, 3, 4]},
            "magic-a 0": {"found": [4, 3, 2, 1]},
            "magic-a 1": {"found": [4, 3, 1, 2]},
        },
    }
    table = chain_study.table(found, [0, 0, 1, 1], 2)
    assert table["seed against seed"] == pytest.approx(1) and table["number of attention layers"] < 0
    assert table["single-path"]["tau"]["each"] == pytest.approx([1, 2 / 3])
    assert table["magic-a"]["tau"]["gap"][0] == pytest.approx((-2 + -4 / 3) / 2)
    assert table["magic-a"]["tau within equal numbers"]["each"] == [-1, 0]
