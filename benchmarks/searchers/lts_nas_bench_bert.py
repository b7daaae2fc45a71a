"""
The number of parameters as a score on NAS-Bench-BERT (see nas_bench_bert.py for the files), overall and inside
quarters of its networks by size.

    python benchmarks/searchers/lts_nas_bench_bert.py --folder FOLDER_OF_THE_TWO_FILES

Writes `benchmarks/results/lts_nas_bench_bert.json`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.analysis.rank_statistics import buckets, rank_agreement


sys.path.append(str(Path(__file__).parent))

from nas_bench_bert import Network, read  # noqa: E402 (a script beside this one)


SIZE = "Number of Parameters"


def agreement(networks: Sequence[Network]) -> dict[str, Any]:
    """Kendall's tau and Spearman's rho of the number of parameters with GLUE, with their intervals."""
    sizes, glue = [one.metrics[SIZE] for one in networks], [one.scores["glue"] for one in networks]
    found = rank_agreement({SIZE: sizes}, glue)[SIZE]
    values = {name: vars(found[name]) for name in ("kendall", "spearman")}
    return {"n": len(networks), "from": min(sizes), "to": max(sizes)} | values


def figures(networks: Sequence[Network], parts: int = 4) -> dict[str, Any]:
    by_size = buckets([one.metrics[SIZE] for one in networks], parts)
    inside = {f"quarter {number}": [networks[at] for at in part] for number, part in enumerate(by_size, start=1)}
    return {name: agreement(part) for name, part in ({"all": networks} | inside).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Where the two files lie.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/lts_nas_bench_bert.json"))
    given = parser.parse_args()
    found = figures(read(given.folder))
    write_json(given.output, found)
    for name, one in found.items():
        kendall, spearman = (f"{one[key]['value']:.3f}" for key in ("kendall", "spearman"))
        print(f"{name}: {one['n']} networks of {one['from']:,.0f} to {one['to']:,.0f}; tau {kendall}, rho {spearman}")


if __name__ == "__main__":
    main()
