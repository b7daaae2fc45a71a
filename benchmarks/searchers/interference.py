"""
Interference before and after alignment (MAGIC, section 3) at a small size. Supernets of chains of the analysis set,
with the loss of magic.py, trained by paths drawn anew, aligned with the mean of as many paths as there are operations,
and aligned with an anchor; then the gradients of the first operation under chains that differ behind it.

    python benchmarks/searchers/interference.py --teacher PATH_OR_ID --train-file sentences.parquet \
        --validation-file held_out.parquet

`autobert analyze interference` shows the same for the supernet of any run. Resumes.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from chain_study import ChainStudy, interval
from magic import TeachersBlock, open_task, parser_of_texts

from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.loss import Loss, Network, Step
from autobert_hf.records.json_files import write_json
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.analysis.interference import Gradients, by_differences, by_kind, by_operation
from autobert_hf.searchers.policies import SinglePath
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.chain import ChainSpace, analysis_operations
from autobert_hf.searchers.supernets import ChoiceSupernet, sampled


POLICIES = ("single-path", "average-alignment", "magic-a")
ASKED = ("seeds", "borders", "width", "layers", "batch_size", "length", "supernet_steps", "learning_rate", "alignment")


class Interference(ChainStudy):
    task: TeachersBlock

    def measure(self) -> None:
        for seed in range(self.given.seeds):
            self.task.renew()
            for name in POLICIES:
                self.once("cosines", f"{name} {seed}", partial(self.cosines, name, seed))

    def cosines(self, name: str, seed: int) -> dict[str, Any]:
        """Of gradients of the first layer of a trained supernet, by operation, kind and number of differences."""
        space, loss = self.task.space, self.task.loss()
        supernet = ChoiceSupernet(space, self.task.base, seed, loss.network)
        policy: Policy = SinglePath(space, seed)
        trained: Loss = loss
        if name == "magic-a":
            policy, trained = self.aligned(policy, supernet, loss)
        if name == "average-alignment":
            trained = self.with_averages(supernet, loss, seed)
        self.train(supernet.module, trained, sampled(supernet, policy), self.given.supernet_steps, seed, [policy])
        gradient = Gradients(supernet, loss, self.task.held_out[0])
        matrix = by_operation(space, gradient, self.given.contexts, Random(seed))
        return {
            "matrix": matrix,
            "kinds": by_kind(space, matrix),
            "differences": by_differences(space, gradient, self.given.contexts, Random(seed)),
        }

    def with_averages(self, supernet: ChoiceSupernet, loss: Loss, seed: int) -> Aligned:
        space = self.task.space

        def companions(step: Step) -> list[Network]:
            rng = Random(derive(seed, step.number, "average-alignment"))
            return [supernet.network(space.sample(rng), training=False) for _ in space.operations]

        begin = self.given.supernet_steps // 10
        return Aligned(loss, companions, space.length, self.given.alignment, begin=begin)

    def report(self) -> None:
        rows = self.results["cosines"]
        found: dict[str, Any] = {}
        for name in POLICIES:
            own = [numbers(row["found"]) for seed in range(self.given.seeds) if (row := rows.get(f"{name} {seed}"))]
            found[name] = {key: interval([one[key] for one in own]) for key in (own[0] if own else {})}
        for name in POLICIES[1:]:
            pairs = [
                (numbers(one["found"]), numbers(other["found"]))
                for seed in range(self.given.seeds)
                if (one := rows.get(f"{name} {seed}")) and (other := rows.get(f"single-path {seed}"))
            ]
            keys = pairs[0][0] if pairs else {}
            gaps = {key: interval([one[key] - other[key] for one, other in pairs]) for key in keys}
            found[f"{name} minus single-path"] = gaps
        self.results["table"] = found
        write_json(self.given.output, self.results)
        json.dump(found, sys.stdout, indent=1)


def numbers(found: Mapping[str, Any]) -> dict[str, float]:
    kinds = found["kinds"]
    gap = {"same minus different kinds": kinds["same kind"] - kinds["different kinds"]}
    return {**kinds, **gap, **{f"{number} differ": value for number, value in found["differences"].items()}}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of_texts(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contexts", type=int, default=4, help="Random chains for each shared operation.")
    parser.add_argument("--supernet-steps", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--alignment", type=float, default=0.5)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--minutes", type=float, default=60, help="Processor time after which no training begins.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/interference.json"))
    given: argparse.Namespace = parser.parse_args(arguments)
    task = open_task(given)
    task.space = ChainSpace(analysis_operations(given.width), given.layers, given.width)
    study = Interference(given, task, {name: getattr(given, name) for name in ASKED})
    study.measure()
    study.report()


if __name__ == "__main__":
    main()
