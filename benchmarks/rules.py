"""
BERT's own rule, AutoTinyBERT's fast rule and its search within one latency: what each costs and what it finds.

    python benchmarks/rules.py --teacher PATH_OR_ID --pairs dev.parquet --limit 0.33 --runs runs/seed-0 runs/seed-1

`--runs` are finished searches by autotinybert with baselines, seeds of one command. The fast rule's networks are
judged by the same supernet, and the best of them is trained as the found one and the default one were. Scores as in
students.py. Resumes: the training has its checkpoint in the run's folder.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from students import Pairs, ahead, networks
from tiny_runs import best_within, opened, train_further
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import write_json
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.default_rule import slowest_defaults
from autobert_hf.searchers.strategies.fast_rule import fast_rule, keeps_rule


class Rules:
    """Of one run within one limit."""

    def __init__(self, run: Path, limit: float) -> None:
        self.search, self.limit, self.study = opened(run), limit, Study.read(run)
        self.search.start.load(self.search.supernet)
        self.loss = self.search.evaluator.loss

    def listed(self, architectures: list[Architecture]) -> tuple[Architecture, dict[str, Any]]:
        """The best of some, and what finding it took."""
        started = time.monotonic()
        losses = {one: self.loss(one) for one in architectures}
        best = min(losses, key=losses.__getitem__)
        return best, self.row(best, losses[best]) | {
            "candidates": len(losses),
            "seconds": time.monotonic() - started,
        }

    def row(self, architecture: Architecture, loss: float) -> dict[str, Any]:
        return {
            "architecture": architecture.to_json(),
            "supernet loss": loss,
            "predicted time": self.search.latency(architecture),
            "keeps the fast rule": keeps_rule(architecture),
        }

    def found(self) -> tuple[Trial, dict[str, Any]]:
        """The search's, among the candidates of its own window only, as a search for this limit alone would have."""
        best = best_within(self.search, self.study, self.limit)
        window = self.search.windows.space(self.limit)
        inside = [trial for trial in self.study.trials if trial.ok and window.allowed(trial.architecture)]
        cost = {"candidates": len(inside), "seconds": sum(trial.cost["seconds"] for trial in inside)}
        return best, self.row(best.architecture, self.loss(best.architecture)) | cost

    def compared(self) -> tuple[dict[str, Any], PreTrainedModel]:
        """A row for each way, and the fast rule's network after its training."""
        search, space, latency = self.search, self.search.space, self.search.latency
        trial, found = self.found()
        default = self.listed(slowest_defaults(space, latency, self.limit))[1]
        fast, row = self.listed(fast_rule(space, latency, [self.limit], search.windows.allowed))
        model = search.supernet.extract(fast)
        train_further(search, "fast rule", model, trial, search.text, search.settings.final_recipe(search.text))
        return {"search": found, "default rule": default, "fast rule": row}, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet: sentence1, sentence2, label.")
    parser.add_argument("--limit", type=float, required=True, help="One of the runs' --max-latency.")
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/rules.json"))
    given = parser.parse_args()
    pairs = Pairs(given.pairs, AutoTokenizer.from_pretrained(given.teacher))
    results: dict[str, Any] = {"limit": given.limit, "runs": {}}
    cosines: dict[str, dict[int, Any]] = {"found": {}, "default rule": {}, "fast rule": {}}
    for number, run in enumerate(given.runs):
        rows, fast = Rules(run, given.limit).compared()
        trained = networks(run)[given.limit]
        models = {name: AutoModel.from_pretrained(trained[name]["folder"]) for name in ("found", "default rule")}
        for name, model in (models | {"fast rule": fast}).items():
            cosines[name][number] = pairs.cosines(model)
            rows["search" if name == "found" else name]["score"] = pairs.score(cosines[name][number])
        results["runs"][run.name] = rows
        print(run.name, json.dumps(rows), flush=True)
        write_json(given.output, results)
    results["search ahead of"] = ahead(pairs, cosines)
    write_json(given.output, results)
    print(results["search ahead of"])


if __name__ == "__main__":
    main()
