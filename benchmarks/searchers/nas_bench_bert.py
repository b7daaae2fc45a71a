"""
NAS-Bench-BERT: 500 networks of the FlexiBERT space with GLUE scores (Serianni and Kalita, ACL 2023; the files
BERT_benchmark.json.gz and BERT_results_activation.csv.gz of aaronserianni/training-free-nas, CC BY 4.0).

    python benchmarks/searchers/nas_bench_bert.py --folder FOLDER_OF_THE_TWO_FILES

Baselines that any searcher or cheap score would have to beat there: the number of parameters, and random search. It
does not tell searchers apart, and the last lines of the output say why.
"""

import argparse
import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.analysis.rank_statistics import rank_agreement


BENCHMARK, METRICS = "BERT_benchmark.json.gz", "BERT_results_activation.csv.gz"
BUDGETS = (10, 25, 50, 100, 200)


@dataclass(frozen=True)
class Network:
    """`scores` by task with their mean `glue`, in per cent; `metrics` are published training-free scores by name."""

    architecture: Architecture
    scores: dict[str, float]
    metrics: dict[str, float]

    @property
    def cell(self) -> tuple[int, int]:
        """(width, depth)."""
        return dict(self.architecture.settings)["hidden_size"], len(self.architecture.layers)


def read(folder: Path) -> list[Network]:
    """
    Raises:
        ValueError: if the files do not belong together: a network without metrics, or another GLUE score in them.
    """
    with gzip.open(folder / BENCHMARK, "rt", encoding="utf-8") as file:
        records = json.load(file)
    with gzip.open(folder / METRICS, "rt", encoding="utf-8", newline="") as file:
        metrics = {int(row.pop("ID")): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)}
    return [_network(record, metrics, folder) for record in records]


def _network(record: dict[str, Any], metrics: dict[int, dict[str, float]], folder: Path) -> Network:
    choices = record["hparams"]["model_hparam_overrides"]
    layers = choices["nas_config"]["encoder_layers"]
    found = dict(metrics.get(record["id"], {}))
    glue = found.pop("GLUE Score", float("nan"))
    if not abs(glue - record["scores"]["glue"]) < 1e-6:
        raise ValueError(
            f"{folder / METRICS}: network {record['id']} has GLUE {glue}, {BENCHMARK} says "
            f"{record['scores']['glue']}: take both files from one copy."
        )
    return Network(Architecture.of(layers, hidden_size=choices["hidden_size"]), record["scores"], found)


def expected_best(scores: Sequence[float], budget: int) -> float:
    """Mean over all ways to draw `budget` different networks: the i-th best of n is drawn, and none of the better."""
    ordered, n = sorted(scores, reverse=True), len(scores)
    missed = np.cumprod([1.0] + [(n - budget - i) / (n - i) for i in range(n - budget)])
    chances = [before - after for before, after in pairwise([*missed, 0.0])]
    return float(np.dot(ordered[: len(chances)], chances))


def seed_noise(networks: Sequence[Network]) -> tuple[float, int]:
    """Standard deviation of GLUE between trainings of one architecture, and the number of those trained again."""
    groups: dict[Architecture, list[float]] = defaultdict(list)
    for network in networks:
        groups[network.architecture].append(network.scores["glue"])
    repeated = [np.array(scores) for scores in groups.values() if len(scores) > 1]
    squares = sum(float(((scores - scores.mean()) ** 2).sum()) for scores in repeated)
    return (squares / max(sum(len(scores) - 1 for scores in repeated), 1)) ** 0.5, len(repeated)


def explained_by_cells(networks: Sequence[Network]) -> float:
    """R^2 of the mean of the same width and depth, each network left out of its own mean."""
    groups: dict[tuple[int, int], list[float]] = defaultdict(list)
    for network in networks:
        groups[network.cell].append(network.scores["glue"])
    errors = np.concatenate([_errors_left_out(group) for group in groups.values()])
    alone = _errors_left_out([network.scores["glue"] for network in networks])
    return 1 - float((errors**2).sum() / (alone**2).sum())


def _errors_left_out(scores: Sequence[float]) -> np.ndarray:
    """What the mean of all the others is wrong by, for each of two or more scores."""
    return (np.array(scores) - np.mean(scores)) * len(scores) / (len(scores) - 1)


def figures(networks: Sequence[Network]) -> dict[str, Any]:
    glue = [network.scores["glue"] for network in networks]
    agreement = rank_agreement({name: [n.metrics[name] for n in networks] for name in networks[0].metrics}, glue)
    noise, repeated = seed_noise(networks)
    return {
        "networks": len(networks),
        "architectures": len({network.architecture for network in networks}),
        "glue": {"min": min(glue), "median": float(np.median(glue)), "max": max(glue)},
        "agreement with glue": {
            metric: {name: asdict(found[name]) for name in ("kendall", "spearman")}
            for metric, found in agreement.items()
        },
        "random search": {str(n): expected_best(glue, n) for n in BUDGETS if n <= len(glue)},
        "seed noise": {"sd": noise, "architectures trained again": repeated},
        "R2 of width and depth": explained_by_cells(networks),
    }


def show(results: dict[str, Any]) -> None:
    print(f"{results['networks']} networks, {results['architectures']} architectures; GLUE {results['glue']}")
    for metric, found in sorted(results["agreement with glue"].items(), key=lambda item: -item[1]["kendall"]["value"]):
        values = "   ".join(f"{name} {v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for name, v in found.items())
        print(f"{metric:32} {values}")
    print("random search, expected best of", {n: round(best, 2) for n, best in results["random search"].items()})
    noise = results["seed noise"]
    print(
        f"This benchmark cannot tell searchers apart: four cells of width and depth explain "
        f"{results['R2 of width and depth']:.2f} of the variance of GLUE (each network left out of its own mean), "
        f"another seed moves GLUE by {noise['sd']:.2f} ({noise['architectures trained again']} architectures trained "
        "again), and the best of 50 and of 200 random networks lie no further apart."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Where the two files lie.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/nas_bench_bert.json"))
    arguments = parser.parse_args()
    results = figures(read(arguments.folder))
    show(results)
    write_json(arguments.output, results)


if __name__ == "__main__":
    main()
