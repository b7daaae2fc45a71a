"""
A search by `lts`, with its wall and processor time, and its front against networks scaled in depth only: latency at
equal decoder parameters.

    python benchmarks/searchers/lts_search.py --folder FOLDER [--trials 2500] [--predictor none linear]

The runs lie in FOLDER/none and FOLDER/linear; one that has ended is only read, and its times are those of the process
that made it. Writes `benchmarks/results/lts_search.json`.
"""

import argparse
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import autobert_hf
from autobert_hf.records.json_files import write_json, write_record
from autobert_hf.records.run_folder import read_report


Scores = Mapping[str, float]


def run(folder: Path, predictor: str, trials: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The measured front of a search, baselines and times; kept in the folder, so that it is timed once."""
    path = folder / predictor
    kept = folder / f"{predictor}-times.json"
    if not kept.exists():
        started, before = time.monotonic(), processor_seconds()
        autobert_hf.search("lts", num_trials=trials, latency_predictor=predictor, output_dir=path, **settings)
        write_record(kept, {"seconds": time.monotonic() - started, "processor": processor_seconds() - before})
    study = autobert_hf.load_study(path)
    front = read_report(path / "report" / "measured-front.json")
    points = front["points"]
    return {
        "trials": len(study.trials),
        "times": read_report(kept),
        "front": len(study.front()),
        "noise": sum(not point["kept"] for point in points.values()),
        "predictor": {name: read_report(path / "report" / "predictor.json").get(name) for name in ("error", "tau")},
        "points": {number: point["scores"] for number, point in points.items() if point["kept"]},
        "baselines": front["baselines"],
    }


def processor_seconds() -> float:
    """Of this process and those that it has started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def at_equal_proxy(points: Mapping[str, Scores], baselines: Mapping[str, Scores], goal: str) -> dict[str, float]:
    """
    For each baseline within the front's range, the front's score at as many decoder parameters over the baseline's
    score; between two points the front is taken as linear.
    """
    proxy = "decoder_parameters"
    ordered = sorted(points.values(), key=lambda one: one[proxy])
    # At least as many parameters for no more: the envelope of the points.
    best = np.minimum.accumulate([one[goal] for one in ordered][::-1])[::-1]
    sizes = [one[proxy] for one in ordered]
    inside = {name: one for name, one in baselines.items() if sizes[0] <= one[proxy] <= sizes[-1]}
    return {name: float(np.interp(one[proxy], sizes, best)) / one[goal] for name, one in inside.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Folder for the runs.")
    parser.add_argument("--trials", type=int, default=2500)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--predictor", nargs="+", default=["linear", "none"])
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/lts_search.json"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for predictor in given.predictor:
        settings = {"points": given.points, "population": given.population, "cpu": True}
        found[predictor] = one = run(given.folder, predictor, given.trials, settings)
        one["over scaled in depth"] = {
            goal: at_equal_proxy(one["points"], one["baselines"], goal) for goal in ("latency", "memory")
        }
        times = one["times"]
        print(
            f"{predictor}: {one['trials']} trials, {times['seconds']:.0f} s, {times['processor']:.0f} s of processor"
        )
        print(f"    front of {one['front']}, {one['noise']} of {given.points} noise; {one['over scaled in depth']}")
    write_json(given.output, found)


if __name__ == "__main__":
    main()
