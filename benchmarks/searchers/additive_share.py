"""
The additive share of a real objective from the journal of a run (150 trials or more), and what it means for OP-NAS.

    python benchmarks/searchers/additive_share.py --journal runs/prose/journal.jsonl \
        --noise benchmarks/results/objective_noise.json --run runs/landscapes

The estimator (share_estimate.py) is used on the journal. It is held against planted landscapes, where the truth is
known: on the networks and rounds of this journal, and on the trials of searches that followed the planted values
themselves. At last OP-NAS and evolution search planted landscapes with the estimated shares and noise, which predicts
what they would do on the real objective, as far as it is like that.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compare import reference
from landscapes import DrawnSpace, Landscape, counts
from paired_statistics import paired
from planted_search import at, search, trials
from scipy.stats import norm, rankdata
from share_estimate import Shares, estimate, mean_square, one_column_each, outside
from tqdm import tqdm

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS
from autobert_hf.records.json_files import write_json
from autobert_hf.records.trial import read_trials


TRUTHS = (0.0, 0.05, 0.2, 0.5, 0.8)
LOOP = {"population": 50, "parents": 5, "children": 5}
OPTIONS: dict[str, dict[str, Any]] = {"op-nas": LOOP | {"alpha": 0.5, "temperature": 0.5}, "evolution": LOOP}


@dataclass(frozen=True)
class Evaluated:
    """Networks with their values (higher is better) and the numbers of their rounds."""

    networks: Sequence[Architecture]
    values: np.ndarray
    rounds: Sequence[int]

    def shares(self, space: DrawnSpace) -> Shares:
        return estimate(self.values, self._counts(space), space.interactions(self.networks), space.sums, self.rounds)

    def truth(self, space: DrawnSpace, landscape: Landscape) -> float:
        """What `shares` is after: operations beyond occupancy, of the variance of the values, both within rounds."""
        by_round = one_column_each(self.rounds)
        free = outside(np.column_stack([by_round, self._counts(space) @ space.sums]))
        planted = landscape.split(self.networks)[:, 1]
        return mean_square(free.T @ planted) / mean_square(outside(by_round).T @ self.values)

    def ranked(self) -> "Evaluated":
        """Ranks within rounds, spread as a normal variable: networks that hardly learn do not outweigh all others."""
        scores = np.zeros(len(self.values))
        for number in set(self.rounds):
            own = np.array(self.rounds) == number
            scores[own] = norm.ppf((rankdata(self.values[own]) - 0.5) / own.sum())
        return Evaluated(self.networks, scores, self.rounds)

    def _counts(self, space: DrawnSpace) -> np.ndarray:
        return counts(space.columns, [space.genes(network) for network in self.networks]).toarray()


def from_journal(path: Path) -> Evaluated:
    """A round are trials that started from the same weights, known by the tokens that these were trained on."""
    done = [trial for trial in read_trials(path) if trial.ok]
    rounds = [int(trial.cost["inherited_tokens"]) for trial in done]
    values = np.array([GOALS["loss"].value(trial) for trial in done])
    return Evaluated([trial.architecture for trial in done], values, rounds)


def from_search(landscape: Landscape, noise: float, evaluations: int) -> Evaluated:
    """What a search on the landscape itself leaves: later networks are children of good ones."""
    own = [trial for trial, _ in trials("op-nas", OPTIONS["op-nas"], landscape, noise, evaluations)]
    size = LOOP["parents"] * LOOP["children"]
    rounds = [max(trial.id - LOOP["population"] + size, 0) // size for trial in own]
    return Evaluated([t.architecture for t in own], np.array([t.scores["value"] for t in own]), rounds)


def validate(
    space: DrawnSpace, journal: Evaluated, occupancy: float, noise: float, landscapes: int
) -> list[dict[str, Any]]:
    """Estimates beside the truth, for both ways to come by networks."""
    rows = []
    for share in tqdm([t for t in TRUTHS if t + occupancy <= 1], desc="validation", mininterval=5):
        found: dict[str, list[tuple[float, Shares]]] = {"this journal": [], "own search": []}
        for number in range(landscapes):
            landscape = Landscape(space, 10_000 + number, share, occupancy)
            scatter = np.random.default_rng(number).normal(0, noise, len(journal.networks))
            planted = landscape.split(journal.networks).sum(1) + scatter
            samples = {
                "this journal": Evaluated(journal.networks, planted, journal.rounds),
                "own search": from_search(landscape, noise, len(planted)),
            }
            for name, sample in samples.items():
                found[name].append((sample.truth(space, landscape), sample.shares(space)))
        rows += [
            {"planted": share, "occupancy": occupancy, "networks": name} | _accuracy(pairs)
            for name, pairs in found.items()
        ]
    return rows


def _accuracy(pairs: Sequence[tuple[float, Shares]]) -> dict[str, float]:
    true, shares = np.array([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
    guessed = np.array([share.additive for share in shares])
    covered = [share.low <= t <= share.high for t, share in zip(true, shares, strict=True)]
    return {
        "landscapes": len(pairs),
        "truth": float(true.mean()),
        "estimate": float(guessed.mean()),
        "sd of error": float((guessed - true).std(ddof=1)),
        "covered": float(np.mean(covered)),
        "predicted": float(np.mean([share.predicted for share in shares])),
    }


def predict(space: DrawnSpace, shares: Shares, noise: float, budgets: Sequence[int], pairs: int) -> dict[str, Any]:
    """
    OP-NAS against evolution where the real objective has `shares`. `noise` is its share of the variance within rounds,
    at most what the shares leave; planted values have variance 1 without it, and what no share names is interactions.
    """
    noise = min(noise, shares.rest)
    signal = 1 - noise
    found: dict[str, list[list[float]]] = {"op-nas": [], "evolution": []}
    for number in tqdm(range(pairs), desc="prediction", mininterval=5):
        landscape = Landscape(space, 20_000 + number, shares.additive / signal, max(shares.occupancy / signal, 0.0))
        for method, values in found.items():
            incumbents = search(method, OPTIONS[method], landscape, (noise / signal) ** 0.5, max(budgets))
            values.append([at(incumbents, budget)[1] for budget in budgets])
    one, other = (np.array(values) for values in found.values())
    return {str(budget): paired(one[:, i], other[:, i]) for i, budget in enumerate(budgets)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True, help="What objective_noise.py wrote for the same run.")
    parser.add_argument("--run", type=Path, default=Path("runs/landscapes"), help="Folder of the reference networks.")
    parser.add_argument("--networks", type=int, default=8000, help="Random networks of reference.")
    parser.add_argument("--landscapes", type=int, default=10, help="For the validation, of each planted share.")
    parser.add_argument("--pairs", type=int, default=100, help="Of searches for the prediction.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/additive_share.json"))
    arguments = parser.parse_args()
    journal = from_journal(arguments.journal)
    space = reference(arguments.run, len(journal.networks[0].layers), arguments.networks)
    variance = mean_square(outside(one_column_each(journal.rounds)).T @ journal.values)
    noise = json.loads(arguments.noise.read_text())["sd_within"] ** 2 / variance
    results: dict[str, Any] = {"networks": len(journal.networks), "noise": noise, "options": OPTIONS}
    for name, sample in (("loss", journal), ("ranks", journal.ranked())):
        shares = sample.shares(space)
        prediction = predict(space, shares, noise, (100, 175), arguments.pairs)
        results[name] = {"shares": asdict(shares), "prediction": prediction}
        print(name, results[name], flush=True)
    results["validation"] = [
        row
        for occupancy in (0.0, results["loss"]["shares"]["occupancy"])
        for row in validate(space, journal, occupancy, 0.3, arguments.landscapes)
    ]
    for row in results["validation"]:
        print(row)
    write_json(arguments.output, results)


if __name__ == "__main__":
    main()
