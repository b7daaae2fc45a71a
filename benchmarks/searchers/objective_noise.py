"""
How much the objective of a search scatters by itself: candidates of a run trained again from one set of inherited
weights, on other batches each time. What is left of agreement is the ceiling of everything that explains or predicts
scores.

    python benchmarks/searchers/objective_noise.py --run runs/prose --networks 12 --repeats 2

The weights are the last that the run kept. Resumes: a training that is in the output is not done again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autobert_hf.api import reopen
from autobert_hf.lab.training.trainer import Trainer, load_tensors
from autobert_hf.records.json_files import write_json
from autobert_hf.records.tensor_files import read_tensors
from autobert_hf.records.trial import Trial, read_trials
from autobert_hf.searchers.methods.autobert_zero import AutoBertZero


class Repeats:
    """Trains candidates of the run in `folder` as its search did."""

    def __init__(self, folder: Path) -> None:
        method = reopen(folder)
        if not isinstance(method, AutoBertZero):
            raise SystemExit(f"{folder} is no search by autobert-zero: give one.")
        self.method = method
        self.weights, _ = read_tensors(max((folder / "supernet").glob("round-*.safetensors")))

    def loss(self, trial: Trial, repeat: int) -> float:
        method, supernet = self.method, self.method.supernet
        load_tensors(self.weights, supernet.module, method.loss)
        child, team = supernet.network(trial.architecture), method.run.team.alone()
        trainer = Trainer(supernet.module, method.loss, lambda step, shard: [child], method.evaluator.recipe, team)
        trainer.run(method.text.stream("repeat", repeat))
        return method.evaluator.held_out(supernet.network(trial.architecture, training=False))


def reliability(losses: Sequence[Sequence[float]]) -> dict[str, Any]:
    """From (networks, repeats): variance within and between networks, and the share of the latter in one training."""
    table = np.array(losses)
    within = float(table.var(1, ddof=1).mean())
    between = max(float(table.mean(1).var(ddof=1)) - within / table.shape[1], 0.0)
    return {
        "networks": len(table),
        "repeats": table.shape[1],
        "sd_within": within**0.5,
        "sd_between": between**0.5,
        "reliability": between / (between + within),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="A search by autobert-zero.")
    parser.add_argument("--networks", type=int, default=12, help="Spread evenly over the journal.")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/objective_noise.json"))
    arguments = parser.parse_args()
    done = read_trials(arguments.run / "journal.jsonl")
    trials = [done[i * len(done) // arguments.networks] for i in range(arguments.networks)]
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {"losses": {}}
    losses = results["losses"]
    repeats = Repeats(arguments.run)
    for trial in trials:
        for number in range(len(losses.setdefault(str(trial.id), [])), arguments.repeats):
            losses[str(trial.id)].append(repeats.loss(trial, number))
            write_json(arguments.output, results)
    results |= reliability([losses[str(trial.id)][: arguments.repeats] for trial in trials])
    write_json(arguments.output, results)
    print({name: value for name, value in results.items() if name != "losses"})


if __name__ == "__main__":
    main()
