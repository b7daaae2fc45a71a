"""
OP-NAS against evolution on the objective of a real run, held still: every candidate trains on from the weights that
the run ended with, as in its own last round, and hands nothing back. So a network has one value, whoever proposes it.

    python benchmarks/searchers/real_objective.py --run runs/prose --first runs/ranking --pairs 3

Both searches of a pair start from the same 50 of the networks that `autobert analyze ranking` drew and judged; pairs
share some of these. Resumes: no network is trained twice.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from additive_share import LOOP, OPTIONS
from paired_statistics import paired
from tqdm import tqdm

from autobert_hf.api import reopen
from autobert_hf.lab.training.trainer import TrainingError
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import read_journal
from autobert_hf.records.json_files import write_json
from autobert_hf.records.run_folder import RunFolder
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.analysis.rank_check import INHERITED, RankCheck
from autobert_hf.searchers.analysis.rank_inputs import check_inputs
from autobert_hf.searchers.strategies import STRATEGIES


class Still:
    """The objective; what it was asked before it knows, from the journals of a ranking study and of its own."""

    def __init__(self, run: Path, first: Path, folder: Path) -> None:
        method = reopen(run)
        if RunFolder(first).read("run.json")["inputs"] != check_inputs(method):
            raise SystemExit(f"{first} is no study of {run} as it is now: make one with `autobert analyze ranking`.")
        self.study = RankCheck(method, folder, 1_000_000)
        drawn = [record for record in read_journal(first / "journal.jsonl") if record["kind"] == INHERITED]
        self.first = [Architecture.from_json(record["architecture"]) for record in drawn]
        self.known = {
            Architecture.from_json(record["architecture"]): record
            for record in [*drawn, *read_journal(folder / "journal.jsonl")]
        }

    def trial(self, number: int, proposal: Proposal) -> Trial:
        if proposal.architecture not in self.known:
            record = self._train(proposal.architecture)
            self.study.journal.append(record)
            self.known[proposal.architecture] = record
        found = self.known[proposal.architecture]
        return Trial(number, proposal, 0, found["scores"], status=found["status"], reason=found["reason"])

    def _train(self, architecture: Architecture) -> dict[str, Any]:
        number = len(self.study.journal.records)
        try:
            with self.study.evaluator.failures():
                scores, cost = self.study.evaluator.evaluate(number, architecture, lambda step, scores: True)
                scores |= self.study.sizes(architecture)
                found = Trial(number, Proposal(architecture), 0, scores, cost)
        except TrainingError as error:
            found = Trial(number, Proposal(architecture), 0, status="failed", reason=str(error))
        self.study.evaluator.release_except([], number + 1)
        return found.to_record()


def losses(method: str, objective: Still, pair: int, evaluations: int) -> Iterator[float]:
    """The lowest loss after each evaluation of one search."""
    study = objective.study
    strategy = STRATEGIES[method](study.method.space, study.method.goals, pair, **OPTIONS[method])
    networks = Random(derive(pair, "first population")).sample(objective.first, LOOP["population"])
    strategy.seen.update(networks)
    proposals, done, best = [Proposal(network) for network in networks], 0, float("inf")
    history = list[Trial]()
    while done < evaluations:
        told = []
        for proposal in proposals[: evaluations - done]:
            told.append(objective.trial(done + len(told), proposal))
            best = min(best, told[-1].scores.get("loss", best))
            yield best
        history += told
        strategy.tell(history)
        done += len(told)
        proposals = [strategy.ask(done + index) for index in range(strategy.round_size())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, required=True, help="A finished search by autobert-zero, with op-nas or evolution."
    )
    parser.add_argument("--first", type=Path, required=True, help="A ranking study of the same run.")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("runs/real_objective"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/real_objective.json"))
    given = parser.parse_args()
    objective = Still(given.run, given.first, given.folder)
    curves: dict[str, list[list[float]]] = {method: [] for method in OPTIONS}
    for pair in range(given.pairs):
        for method in OPTIONS:
            bar = tqdm(losses(method, objective, pair, given.evaluations), f"{method}, pair {pair}", given.evaluations)
            curves[method].append([*bar])
    ends = {method: [curve[-1] for curve in own] for method, own in curves.items()}
    # Losses: what evolution ends above OP-NAS is what OP-NAS is ahead. So few pairs have no spread to divide by.
    ahead = {name: v for name, v in paired(ends["evolution"], ends["op-nas"]).items() if name.partition("_")[0] != "d"}
    result = {"losses": ends, "curves": curves, "op-nas ahead by": ahead}
    write_json(given.output, result)
    print({name: value for name, value in result.items() if name != "curves"})


if __name__ == "__main__":
    main()
