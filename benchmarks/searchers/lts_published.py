"""
The published models of LiteTransformerSearch against this project's arithmetic, front and latency predictor:

    python benchmarks/searchers/lts_published.py FOLDER

FOLDER holds the tables of the released models, one CSV a set (`pareto_GPT2_lm1b_corei7.csv`, ...), with the columns
n_layer, d_model, d_inner, n_head, decoder_parameters, valid_perplexity, latency, peak_memory_mb. Writes
`benchmarks/results/lts_published.json`.
"""

import argparse
import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring.latency_predictor import LinearPredictor, held_out
from autobert_hf.modeling.arithmetic import count_encoder_parameters, count_transformer_xl_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.json_files import write_json
from autobert_hf.records.trial import Proposal, Trial


Row = dict[str, str]

COUNTS = {"GPT2": count_encoder_parameters, "TransXL": count_transformer_xl_parameters}
PROXIES = (
    "decoder_parameters",
    "attention_parameters",
    "feed_forward_parameters",
    "embedding_parameters",
    "total_parameters",
    "d_model",
)
THREE = tuple(GOALS[name] for name in ("decoder_parameters", "latency", "memory"))
LENGTH = 192  # tokens of a timed row


def read_rows(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def config_of(row: Row) -> AutoBertConfig:
    """A GPT-2-like network of the row's sizes; the size of a head is rounded down, as in the released code."""
    width, heads, inner = int(row["d_model"]), json.loads(row["n_head"]), json.loads(row["d_inner"])
    layers = [
        {"layer_type": "full_attention", "intermediate_size": f, "num_attention_heads": h, "head_dim": width // h}
        for h, f in zip(heads, inner, strict=True)
    ]
    base = AutoBertConfig(
        **{"norm_position": "pre", "final_norm": True, "embedding_norm": False, "type_vocab_size": 0},
        **{"is_decoder": True, "max_position_embeddings": LENGTH, "vocab_size": 100},
    )
    return Architecture.of(layers, hidden_size=width).to_config(base)


def counted(path: Path, row: Row) -> int:
    """Decoder parameters by the rule of the file's family."""
    return COUNTS[path.stem.split("_")[1]](config_of(row))


def wrong_rows(path: Path) -> list[str]:
    """Models whose published decoder parameters differ from ours."""
    rows = [row for row in read_rows(path) if row["decoder_parameters"]]
    return [row["model"] for row in rows if counted(path, row) != float(row["decoder_parameters"])]


def spearman(rows: list[Row], name: str) -> float:
    """Rank correlation of a column with minus the trained perplexity."""
    known = [row for row in rows if row[name] and row["valid_perplexity"]]
    worse = [-float(row["valid_perplexity"]) for row in known]
    return float(spearmanr([float(row[name]) for row in known], worse).statistic)


def kept(rows: list[Row], keep_ties: bool = True) -> list[str]:
    """The models that stay on the front of decoder parameters, latency and memory."""
    proposal = Proposal(Architecture(()))
    columns = {"decoder_parameters": "decoder_parameters", "latency": "latency", "memory": "peak_memory_mb"}
    trials = [
        Trial(number, proposal, 0, {goal: float(row[column]) for goal, column in columns.items()})
        for number, row in enumerate(rows)
    ]
    front = Goals(THREE, keep_ties=keep_ties).front(trials)
    return sorted((rows[trial.id]["model"] for trial in front), key=[row["model"] for row in rows].index)


def predictor_error(rows: list[Row], column: str, quantity: str) -> dict[str, float]:
    """Five-fold cross-validation of the linear predictor on a measured column, in the column's unit."""
    known = [row for row in rows if row[column]]
    fit = partial(LinearPredictor.fit, length=LENGTH, quantity=quantity)
    found = held_out(fit, [config_of(row) for row in known], [float(row[column]) for row in known])
    return {"n": len(known), "error": found.error, "tau": found.tau}


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.csv")):
        rows = read_rows(path)
        found[path.stem] = {
            "rows": len(rows),
            "wrong": wrong_rows(path),
            "spearman": {name: spearman(rows, name) for name in PROXIES},
        }
        if path.stem.startswith("pareto"):
            found[path.stem] |= {
                "kept": len(kept(rows)),
                "kept_without_ties": len(kept(rows, keep_ties=False)),
                "removed": [row["model"] for row in rows if row["model"] not in kept(rows)],
                "latency_predictor": predictor_error(rows, "latency", "latency"),
                "memory_predictor": predictor_error(rows, "peak_memory_mb", "memory"),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Folder of the published tables.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/lts_published.json"))
    given = parser.parse_args()
    found = report(given.folder)
    write_json(given.output, found)
    for name, rows in found.items():
        rho = ", ".join(f"{proxy} {value:.3f}" for proxy, value in rows["spearman"].items())
        print(f"{name}: {rows['rows']} rows, {len(rows['wrong'])} with another count; rho: {rho}")
        if "kept" in rows:
            print(f"    front: {rows['kept']} kept, {rows['kept_without_ties']} without ties")
            for name in ("latency_predictor", "memory_predictor"):
                print(f"    {name}: error {rows[name]['error']:.1%}, tau {rows[name]['tau']:.3f}")


if __name__ == "__main__":
    main()
