"""
Searches whose scores get better from round to round, as those of a supernet that is trained on (planted landscapes):
scores taken as they are, parents scored again, and no drift.

    python benchmarks/searchers/drift.py --output benchmarks/results/drift.json
"""

import argparse
from pathlib import Path
from random import Random
from statistics import fmean
from tempfile import TemporaryDirectory

from accelerate import Accelerator
from landscapes import DrawnSpace, Landscape, draw_networks
from paired_statistics import paired
from tqdm import tqdm

from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_json
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.strategies import STRATEGIES


GOALS = Goals((Goal("value", "maximize", "trained", "value"),))
ADDITIVE_SHARE = 0.5
SHOWN = ("n", "difference", "difference_low", "difference_high")


class Drifting(Evaluator):
    """True values with noise, `drift` higher in each round; with `versions` the evaluator says that weights change."""

    def __init__(self, landscape: Landscape, noise: float, drift: float, versions: bool) -> None:
        self.landscape = landscape
        self.noise = noise
        self.drift = drift
        self.versions = versions
        self.round = 0

    def start_round(self, number: int) -> None:
        self.round = number

    def weights(self) -> str:
        return f"round {self.round}" if self.versions else ""

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        noise = Random(derive(self.landscape.seed, trial_id, self.round, "noise")).gauss(0, self.noise)
        return {"value": self.landscape.value(architecture) + self.drift * self.round + noise}, {}


def winner(strategy: str, evaluator: Drifting, evaluations: int, team: Team) -> tuple[float, bool]:
    """The winner's true value, and whether it is of the last quarter of the search."""
    landscape = evaluator.landscape
    with TemporaryDirectory() as folder:
        journals = (Journal(Path(folder, name)) for name in ("journal.jsonl", "finalists.jsonl"))
        made = STRATEGIES[strategy](landscape.space, GOALS, landscape.seed, population=25, parents=5, children=5)
        study = Loop(made, evaluator, GOALS, *journals, team, landscape.seed).run(evaluations)
    return landscape.value(study.best.architecture), study.best.id >= 0.75 * evaluations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="evolution", choices=["evolution", "op-nas"])
    parser.add_argument("--landscapes", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--drift", type=float, default=1.0, help="Standard deviations a round.")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    space = AutoBertZeroSpace(num_hidden_layers=4)
    drawn, team = DrawnSpace(space, draw_networks(space, 600)), Team(Accelerator(cpu=True))
    kinds = {"no drift": (0.0, True), "raw scores": (given.drift, False), "scored again": (given.drift, True)}
    values: dict[str, list[float]] = {name: [] for name in kinds}
    late: dict[str, list[bool]] = {name: [] for name in kinds}
    for number in tqdm(range(given.landscapes)):
        landscape = Landscape(drawn, number, ADDITIVE_SHARE)
        for name, kind in kinds.items():
            value, is_late = winner(given.strategy, Drifting(landscape, given.noise, *kind), given.evaluations, team)
            values[name].append(value)
            late[name].append(is_late)
    settings = {name: value for name, value in vars(given).items() if name != "output"}
    rows = {name: {"mean true value": fmean(values[name]), "late winners": fmean(late[name])} for name in kinds}
    over = {name: paired(values[name], values["no drift"]) for name in ("raw scores", "scored again")}
    over = {name: {key: found[key] for key in SHOWN} for name, found in over.items()}
    write_json(given.output, {"settings": settings, "winners": rows, "over no drift": over})


if __name__ == "__main__":
    main()
