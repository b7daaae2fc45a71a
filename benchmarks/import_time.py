"""What `import autobert_hf` costs above `from transformers import AutoModel, PreTrainedModel`; the promise is 0.2 s.

Each import runs in a fresh interpreter; the two alternate, and the differences are taken within pairs, so that a
slow moment of the machine falls on both. Writes JSON and prints the median with its quartiles.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


PROMISE_S = 0.2
BASELINE = "from transformers import AutoModel, PreTrainedModel"
OURS = "import autobert_hf"
CHILD = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print(json.dumps({{"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}}))
"""


def import_cost(statement: str) -> dict[str, float]:
    """Seconds, by the clock and by the processor, that `statement` takes in a fresh interpreter."""
    command = [sys.executable, "-c", CHILD.format(statement=statement)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure(pairs: int) -> list[dict[str, dict[str, float]]]:
    """`pairs` pairs of costs, the order turned round every time; a first pair warms the file cache and is dropped."""
    runs = []
    for i in range(pairs + 1):
        order = (BASELINE, OURS) if i % 2 else (OURS, BASELINE)
        runs.append({statement: import_cost(statement) for statement in order})
    return runs[1:]


def spread(values: list[float]) -> dict[str, float]:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"q1": lower, "median": median, "q3": upper}


def summarize(runs: list[dict[str, dict[str, float]]], clock: str) -> dict[str, dict[str, float]]:
    baseline = [run[BASELINE][clock] for run in runs]
    ours = [run[OURS][clock] for run in runs]
    return {
        "baseline": spread(baseline),
        "ours": spread(ours),
        "difference": spread([b - a for a, b in zip(baseline, ours, strict=True)]),
        "ratio": spread([b / a for a, b in zip(baseline, ours, strict=True)]),
    }


def verdict(difference: dict[str, float]) -> str:
    if difference["q3"] <= PROMISE_S:
        return "kept"
    return "NOT kept" if difference["q1"] > PROMISE_S else "undecided, it lies between the quartiles: more --pairs"


def surroundings() -> dict[str, str | int | None]:
    libraries = {name: version(name) for name in ("autobert-hf", "transformers", "torch")}
    return {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(), **libraries}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="pairs of imports that count, at least 2 (default 9)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "import_time.json")
    arguments = parser.parse_args()
    if arguments.pairs < 2:
        parser.error(f"--pairs {arguments.pairs}: quartiles need at least 2 pairs")
    runs = measure(arguments.pairs)
    summary = {clock: summarize(runs, clock) for clock in ("wall_s", "cpu_s")}
    for clock, rows in summary.items():
        for name, row in rows.items():
            print(f"{clock:7} {name:10} {row['median']:8.3f}  (quartiles {row['q1']:.3f} to {row['q3']:.3f})")
    print(f"promise of {PROMISE_S} s by the clock: {verdict(summary['wall_s']['difference'])}")
    record = {"promise_s": PROMISE_S, **surroundings(), "pairs": arguments.pairs, **summary, "runs": runs}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
