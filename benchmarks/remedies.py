"""
What else could be done for the networks that AutoTinyBERT runs found: other further trainings of the same networks.

    python benchmarks/remedies.py --teacher PATH_OR_ID --pairs dev.parquet --limit 0.25 --runs runs/seed-0

`longer` trains for four times the run's tokens; `from the teacher` begins with slices of the teacher in place of the
supernet's; `second best` trains the search's runner-up within the limit. Scores as in students.py. Resumes: trainings
have their checkpoints in the run's folder.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from students import Pairs, networks
from tiny_runs import opened
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from autobert_hf.lab.run_folder import write_json
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.searchers.finish import Finish
from autobert_hf.searchers.trial import read_trials


LONGER = 4
REMEDIES = ("longer", "from the teacher", "second best")


def remedied(run: Path, limit: float, remedy: str) -> PreTrainedModel:
    search = opened(run)
    trials = read_trials(run / "journal.jsonl")
    best = search.best(trials, limit)
    if remedy == "second best":
        best = search.best([trial for trial in trials if trial.architecture != best.architecture], limit)
    search.choose_depths()
    if remedy == "from the teacher":
        order_by_use(search.supernet.model.eval(), search.lesson.some("order"))
        model = search.supernet.extract(best.architecture)
    else:
        model = search.inherited(best)
    if remedy == "longer":
        search.job.settings = replace(search.job.settings, final_tokens=LONGER * search.job.settings.final_tokens)
    Finish(search.job, search.lesson, best, "").train(remedy, model)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet: sentence1, sentence2, label.")
    parser.add_argument("--limit", type=float, required=True, help="One of the runs' --max-latency.")
    parser.add_argument("--remedy", choices=REMEDIES, nargs="+", default=REMEDIES)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/remedies.json"))
    given = parser.parse_args()
    pairs = Pairs(given.pairs, AutoTokenizer.from_pretrained(given.teacher))
    results: dict[str, Any] = json.loads(given.output.read_text()) if given.output.exists() else {}
    for run in given.runs:
        row = results.setdefault(f"{given.limit:g}", {}).setdefault(run.name, {})
        found = networks(run)[given.limit]["found"]
        row["as found"] = pairs.score(pairs.cosines(AutoModel.from_pretrained(found["folder"])))
        for remedy in given.remedy:
            if remedy not in row:
                row[remedy] = pairs.score(pairs.cosines(remedied(run, given.limit, remedy)))
            write_json(given.output, results)
            print(given.limit, run.name, {name: round(score, 4) for name, score in row.items()}, flush=True)


if __name__ == "__main__":
    main()
