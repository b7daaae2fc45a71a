"""
Random search, evolution and OP-NAS on planted landscapes (see landscapes.py), from shared first populations.

    python benchmarks/searchers/compare.py --run runs/landscapes --output benchmarks/results/searchers.json

First the open parameters are chosen on the landscapes of even number, then the methods are compared on those of odd
number. Resumes: every search is a line of RUN/journal.jsonl. `--report` summarizes what is there without running more.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from landscapes import DrawnSpace, Landscape, draw_networks
from paired_statistics import paired
from planted_search import Incumbents, at, needed, search
from searchers_figure import draw_curves
from tqdm import tqdm

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace


SHARES = (1.0, 0.5, 0.2, 0.05)
LOOPS = [
    {"population": population, "parents": parents, "children": children}
    for population, (parents, children) in product((25, 50), ((5, 5), (2, 10), (10, 3)))
]
GUIDES = [
    {"alpha": alpha, "temperature": temperature} for alpha, temperature in product((0.0, 0.5, 1.0), (0.1, 0.5, 1.0))
]
# OP-NAS whose draws know nothing of the scores, since all bounds weigh alike at this temperature: what is left are its
# other mutations, of which none is illegal, and that it draws untried operations first.
UNSCORED = {"temperature": 1e9}
PAIRS = (("op-nas", "evolution"), ("evolution", "random"), ("op-nas", "unscored"), ("unscored", "evolution"))
Job = tuple[str, Mapping[str, Any]]


class Searches:
    """Searches by (share, landscape, method, options, evaluations); one that the journal holds is not run again."""

    def __init__(self, space: DrawnSpace, noise: float, journal: Journal, may_run: bool = True) -> None:
        self.space = space
        self.noise = noise
        self.journal = journal
        self.may_run = may_run
        self.done: dict[str, Incumbents] = {record["search"]: record["incumbents"] for record in journal.records}

    def of(self, share: float, number: int, jobs: Sequence[Job], evaluations: int) -> list[Incumbents] | None:
        """The incumbents of each job on one landscape; None if some are missing and none may be run."""
        keys = [
            json.dumps([share, number, method, dict(options), evaluations, self.noise], sort_keys=True)
            for method, options in jobs
        ]
        if not all(key in self.done for key in keys):
            if not self.may_run:
                return None
            landscape = Landscape(self.space, number, share)
            for key, (method, options) in zip(keys, jobs, strict=True):
                if key not in self.done:
                    self.done[key] = search(method, options, landscape, self.noise, evaluations)
                    self.journal.append({"search": key, "incumbents": self.done[key]})
        return [self.done[key] for key in keys]

    def table(
        self, numbers: Sequence[int], jobs: Sequence[Job], evaluations: int, shares: Sequence[float] = SHARES
    ) -> dict[float, list[list[Incumbents]]]:
        """By share: for each landscape the incumbents of each job. All shares grow together."""
        found: dict[float, list[list[Incumbents]]] = {share: [] for share in shares}
        for number, share in tqdm([*product(numbers, shares)], desc=f"{len(jobs)} searches each", mininterval=5):
            incumbents = self.of(share, number, jobs, evaluations)
            if incumbents is not None:
                found[share].append(incumbents)
        return found


def chosen(searches: Searches, jobs: Sequence[Job], numbers: Sequence[int], evaluations: int) -> list[dict[str, Any]]:
    """Mean true value of the incumbent over all shares and landscapes, best first."""
    rows = [row for rows in searches.table(numbers, jobs, evaluations).values() for row in rows]
    values = np.array([[at(incumbents, evaluations)[1] for incumbents in row] for row in rows])
    spread = values.std(0, ddof=1) / len(values) ** 0.5
    scored = [
        {"options": dict(options), "value": round(mean, 3), "standard_error": round(error, 3), "n": len(values)}
        for (_, options), mean, error in zip(jobs, values.mean(0).tolist(), spread.tolist(), strict=True)
    ]
    return sorted(scored, key=lambda row: -row["value"])


def summary(rows: Sequence[Sequence[Incumbents]], methods: Sequence[str], evaluations: int) -> dict[str, Any]:
    """Of one share: values by number of evaluations, paired differences, evaluations needed to reach a level."""
    by_method = dict(zip(methods, zip(*rows, strict=True), strict=True))
    points = sorted({n for n in (50, 100, 200) if n < evaluations} | {evaluations // 2, evaluations})
    values = {
        str(n): {name: _value([at(incumbents, n) for incumbents in found]) for name, found in by_method.items()}
        for n in points
    }
    true = {n: {name: [at(i, n)[1] for i in found] for name, found in by_method.items()} for n in points}
    differences = {
        f"{one} over {other}": {str(n): paired(true[n][one], true[n][other]) for n in points} for one, other in PAIRS
    }
    levels = {
        "random's mean at the end": float(np.mean(true[evaluations]["random"])),
        "evolution's mean at half": float(np.mean(true[evaluations // 2]["evolution"])),
    }
    reached = {
        f"{name} ({level:.2f})": {method: _needed(found, level) for method, found in by_method.items()}
        for name, level in levels.items()
    }
    return {"n": len(rows), "incumbent": values, "paired": differences, "evaluations needed": reached}


def _value(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    observed, true = np.array(pairs).T
    spread = {"sd": round(true.std(ddof=1), 3)} if len(true) > 1 else {}
    return {"true": round(true.mean(), 3), "observed": round(observed.mean(), 3)} | spread


def _needed(found: Sequence[Incumbents], level: float) -> dict[str, float | None]:
    """Quartiles of evaluations, None where the level was not reached; and how many searches reached it."""
    numbers = np.sort([needed(incumbents, level) for incumbents in found])
    quartiles = np.quantile(numbers, (0.25, 0.5, 0.75), method="higher")
    cut = [float(q) if np.isfinite(q) else None for q in quartiles]
    return {"q1": cut[0], "median": cut[1], "q3": cut[2], "reached": round(float(np.isfinite(numbers).mean()), 3)}


def reference(folder: Path, layers: int, number: int) -> DrawnSpace:
    """The networks are drawn once a run; drawing them again would give the same ones, in a minute."""
    space, path = AutoBertZeroSpace(layers), folder / f"networks-{layers}-{number}.json"
    if not path.exists():
        write_json(path, {"networks": [network.to_json() for network in draw_networks(space, number)]})
    return DrawnSpace(space, [Architecture.from_json(data) for data in json.loads(path.read_text())["networks"]])


def compare(searches: Searches, landscapes: int, tuning: int, evaluations: int) -> tuple[dict[str, Any], dict]:
    """What was chosen and what came of it, as plain data; and all incumbents of the comparison, for a figure."""
    even, odd = [2 * i for i in range(tuning)], [2 * i + 1 for i in range(landscapes)]
    half = evaluations // 2
    loops = chosen(searches, [("evolution", loop) for loop in LOOPS], even, half)
    loop = loops[0]["options"]
    guides = chosen(searches, [("op-nas", loop | guide) for guide in GUIDES], even, half)
    guided = guides[0]["options"]
    jobs: list[Job] = [("random", loop), ("evolution", loop), ("op-nas", guided), ("op-nas", guided | UNSCORED)]
    methods = ["random", "evolution", "op-nas", "unscored"]
    table = {share: rows for share, rows in searches.table(odd, jobs, evaluations).items() if rows}
    results = {
        "layers": searches.space.space.num_hidden_layers,
        "noise": searches.noise,
        "evaluations": evaluations,
        "tuning": {"evaluations": half, "evolution": loops, "op-nas": guides},
        "shares": {str(share): summary(rows, methods, evaluations) for share, rows in table.items()},
    }
    return results, {share: dict(zip(methods, zip(*rows, strict=True), strict=True)) for share, rows in table.items()}


def show(results: Mapping[str, Any]) -> None:
    for method, rows in results["tuning"].items():
        if method != "evaluations":
            print(f"{method}: best {rows[0]}, worst {rows[-1]}")
    for share, found in results["shares"].items():
        for n, values in found["incumbent"].items():
            cells = [
                f"{name} {value['true']:.2f} (observed {value['observed']:.2f})" for name, value in values.items()
            ]
            print(f"share {share}, n {found['n']}, {n} evaluations: {', '.join(cells)}")
            for pair, at_each in found["paired"].items():
                p = at_each[n]
                print(
                    f"    {pair} {p['difference']:+.2f} [{p['difference_low']:+.2f}, {p['difference_high']:+.2f}]",
                    end="",
                )
                print(f", d {p['d']:+.2f} [{p['d_low']:+.2f}, {p['d_high']:+.2f}], ahead {p['ahead']:.2f}")
        print(f"    evaluations needed: {found['evaluations needed']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/landscapes"), help="Folder of journal and networks.")
    parser.add_argument("--landscapes", type=int, default=100, help="Compared on, of each share.")
    parser.add_argument("--tuning", type=int, default=6, help="Landscapes of each share to choose parameters on.")
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.3, help="Standard deviations of the true values.")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--networks", type=int, default=8000, help="Random networks of reference.")
    parser.add_argument("--report", action="store_true", help="Run nothing, summarize what is there.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/searchers.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/searchers.png"))
    arguments = parser.parse_args()
    space = reference(arguments.run, arguments.layers, arguments.networks)
    journal = Journal(arguments.run / "journal.jsonl", writer=not arguments.report)
    searches = Searches(space, arguments.noise, journal, may_run=not arguments.report)
    results, incumbents = compare(searches, arguments.landscapes, arguments.tuning, arguments.evaluations)
    show(results)
    write_json(arguments.output, results)
    draw_curves(incumbents, arguments.evaluations, arguments.figure)


if __name__ == "__main__":
    main()
