"""
What else could be done for the networks that AutoTinyBERT runs found: other further trainings of the same networks.

    python benchmarks/remedies.py --teacher PATH_OR_ID --pairs dev.parquet --limit 0.25 --runs runs/seed-0 runs/seed-1

`longer` trains for twice the run's tokens, `more text` does so with the files of --more-text beside the run's;
`from the teacher` begins with slices of the teacher in place of the supernet's; `second best` trains the search's
runner-up within the limit. Scores as in students.py, differences too. Resumes: trainings have their checkpoints in the
runs' folders; the results hold, for each limit, what the last call named.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from students import Pairs, ahead, networks
from tiny_runs import best_within, opened, train_further
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.corpus import row_tables
from autobert_hf.lab.data.documents import read_documents
from autobert_hf.lab.data.row_files import RowFiles, table_of
from autobert_hf.lab.data.single_texts import text_rows
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.records.json_files import write_json
from autobert_hf.records.study import Study


LONGER = 2
REMEDIES = ("longer", "more text", "from the teacher", "second best")


def with_more_text(run: Path, text: Text, files: Sequence[Path], length: int) -> Text:
    """What the run trains on, and these; nothing of it is held out."""
    more = table_of(text_rows([*read_documents(files)], text.tokenizer, length))
    rows = RowFiles([*row_tables(run / "text", "train"), more], text.tokenizer.pad_token_id)
    return replace(text, train=replace(text.train, rows=rows))


def remedied(run: Path, limit: float, remedy: str, more_text: Sequence[Path]) -> PreTrainedModel:
    search, study = opened(run), Study.read(run)
    best, text = best_within(search, study, limit), search.text
    if remedy == "second best":
        others = [trial for trial in study.trials if trial.architecture != best.architecture]
        best = best_within(search, replace(study, trials=others), limit)
    if remedy == "from the teacher":
        search.start.prepare(search.supernet)  # after the training that is to read which layers a depth has
        order_by_use(search.supernet.module.eval(), text.fitting_batches("order"))
    else:
        search.start.load(search.supernet)
    model = search.supernet.extract(best.architecture)
    if remedy == "more text":
        text = with_more_text(run, text, more_text, search.settings.length)
    recipe = search.settings.final_recipe(text)
    if remedy in ("longer", "more text"):
        recipe = replace(recipe, steps=LONGER * recipe.steps)
    train_further(search, remedy, model, best, text, recipe)
    return model


def gains(pairs: Pairs, cosines: Mapping[str, dict[int, np.ndarray]]) -> dict[str, Any]:
    """Of each remedy over the run's own training, seeds averaged, with the standard error over the pairs."""
    losses = ahead(pairs, {"found" if name == "as found" else name: own for name, own in cosines.items()})
    return {name: {"by": -loss["by"], "standard error": loss["standard error"]} for name, loss in losses.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet: sentence1, sentence2, label.")
    parser.add_argument("--limit", type=float, required=True, help="One of the runs' --max-latency.")
    parser.add_argument("--remedy", choices=REMEDIES, nargs="+", required=True)
    parser.add_argument("--more-text", type=Path, nargs="+", default=[], help="Files of whole texts.")
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/remedies.json"))
    given = parser.parse_args()
    if "more text" in given.remedy and not given.more_text:
        parser.error('--remedy "more text" needs --more-text FILE.')
    pairs = Pairs(given.pairs, AutoTokenizer.from_pretrained(given.teacher))
    cosines: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for number, run in enumerate(given.runs):
        found = networks(run)[given.limit]["found"]
        cosines["as found"][number] = pairs.cosines(AutoModel.from_pretrained(found["folder"]))
        for remedy in given.remedy:
            cosines[remedy][number] = pairs.cosines(remedied(run, given.limit, remedy, given.more_text))
        print(run, {name: round(pairs.score(own[number]), 4) for name, own in cosines.items()}, flush=True)
    scores = {
        name: {given.runs[at].name: pairs.score(one) for at, one in own.items()} for name, own in cosines.items()
    }
    results: dict[str, Any] = json.loads(given.output.read_text()) if given.output.exists() else {}
    results[f"{given.limit:g}"] = {"scores": scores, "ahead of as found": gains(pairs, cosines)}
    write_json(given.output, results)
    print(results[f"{given.limit:g}"])


if __name__ == "__main__":
    main()
