"""
What students of AutoTinyBERT runs and their baselines are worth on sentence pairs that nobody trained on (STS-B dev).

    python benchmarks/students.py --teacher PATH_OR_ID --pairs validation.parquet --runs runs/seed-0 runs/seed-1

Each run is one seed of the same command, some perhaps without baselines. Scores are Spearman correlations of the
cosine of mean-pooled vectors with the label; differences to a baseline come with a standard error from 1,000
resamplings of the pairs, seeds averaged. Times are of all models as they are loaded, over the teacher's, measured
together (one row of 128 tokens, one thread).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from students_figure import draw_students
from torch.nn.functional import cosine_similarity
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import autobert_hf  # noqa: F401 (AutoModel knows AutoBert)
from autobert_hf.commands.measure import bert_base
from autobert_hf.lab.data.corpus import row_tables
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.data.single_texts import TextBatches
from autobert_hf.lab.distilling.teacher import load_teacher
from autobert_hf.lab.measuring.latency import measure_latency
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.baselines.untrained import StaticTable, in_int8


RESAMPLES = 1000
ROUNDS = 36  # of timing: errors of 1 % on a quiet machine
BATCH = 50


class Pairs:
    """Sentences in two columns and how alike people find them."""

    def __init__(self, path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        table = pd.read_parquet(path)
        self.sides = [table["sentence1"].tolist(), table["sentence2"].tolist()]
        self.labels = table["label"].to_numpy()
        self.tokenizer = tokenizer

    @torch.no_grad()
    def cosines(self, model: Any) -> np.ndarray:  # noqa: ANN401
        first, second = (self._vectors(model.eval(), texts) for texts in self.sides)
        return cosine_similarity(first, second).numpy()

    def _vectors(self, model: Any, texts: Sequence[str]) -> torch.Tensor:  # noqa: ANN401
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        parts = []
        for at in range(0, len(texts), BATCH):
            own = [texts[place] for place in order[at : at + BATCH]]
            batch = self.tokenizer(own, padding=True, truncation=True, max_length=128, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            states = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            parts.append((states * mask).sum(1) / mask.sum(1))
        return torch.cat(parts)[torch.tensor(order).argsort()]

    def score(self, cosines: np.ndarray) -> float:
        return float(spearmanr(cosines, self.labels).statistic)


def networks(run: Path) -> dict[float, dict[str, dict[str, Any]]]:
    """Limit -> name -> folder and what the run recorded of every trained network."""
    found: dict[float, dict[str, dict[str, Any]]] = {}
    rows = json.loads((run / "report" / "baselines.json").read_text())
    for trial, row in sorted(rows.items(), key=lambda pair: -pair[1]["limit"]):
        first = not found  # the largest limit
        limit, folder = row["limit"], run / ("model" if first else f"model-{row['limit']:g}")
        trained = json.loads((run / "report" / f"training-{int(trial):06d}.json").read_text())
        found[limit] = {
            name: {
                "folder": folder if name == "found" else baseline_folder(run, name, int(trial)),
                "error over floor": trained["errors"][name] / trained["linear_floor"],
                "parameters": parameters,
            }
            for name, parameters in trained["parameters"].items()
        }
    return found


def baseline_folder(run: Path, name: str, trial: int) -> Path:
    return run / "baselines" / f"{name.replace(' ', '-')}-{trial:06d}"


def untrained(teacher: PreTrainedModel, run: Path, pairs: Pairs) -> dict[str, Any]:
    """The teacher and what it gives without any training."""
    rows = RowFiles(row_tables(run / "text", "train"), pairs.tokenizer.pad_token_id)
    batches = TextBatches(rows, pairs.tokenizer, 32, 0)
    static = StaticTable(
        teacher, [batches.batch("static", step=step) for step in range(30)], pairs.tokenizer.all_special_ids
    )
    return {"teacher": teacher, "teacher in int8": in_int8(teacher), "static table": static}


def ahead(pairs: Pairs, cosines: dict[str, dict[int, np.ndarray]]) -> dict[str, Any]:
    """The found network against each baseline: mean difference over the seeds, standard error over the pairs."""
    rng = np.random.default_rng(0)
    draws = [np.arange(len(pairs.labels)), *rng.integers(len(pairs.labels), size=(RESAMPLES, len(pairs.labels)))]
    scores = {
        name: {
            seed: np.array([spearmanr(one[d], pairs.labels[d]).statistic for d in draws]) for seed, one in own.items()
        }
        for name, own in cosines.items()
    }
    found = scores.pop("found")
    by = {name: np.mean([found[seed] - one for seed, one in own.items()], axis=0) for name, own in scores.items()}
    return {name: {"by": float(d[0]), "standard error": float(d[1:].std(ddof=1))} for name, d in by.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet: sentence1, sentence2, label.")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="Seeds of one command.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/students.json"))
    parser.add_argument("--figure", type=Path, help="Quality over time.")
    given = parser.parse_args()
    pairs = Pairs(given.pairs, AutoTokenizer.from_pretrained(given.teacher))
    teacher = load_teacher(given.teacher)
    plain, seeds = untrained(teacher, given.runs[0], pairs), [networks(run) for run in given.runs]
    models = {
        f"{number} {limit} {name}": AutoModel.from_pretrained(network["folder"], add_pooling_layer=False)
        for number, seed in enumerate(seeds)
        for limit, own in seed.items()
        for name, network in own.items()
    }
    timed = measure_latency(models | plain | {"BERT-base": bert_base()}, teacher, rounds=ROUNDS, error=float("inf"))
    times = {name: {"median": t.median, "low": t.low, "high": t.high, "error": t.error} for name, t in timed.items()}
    result: dict[str, Any] = {
        "untrained": {
            name: {"score": pairs.score(pairs.cosines(model)), "time": [times[name]]} for name, model in plain.items()
        },
        "BERT-base": times["BERT-base"],
        "limits": {},
    }
    print(result["BERT-base"], result["untrained"])
    for limit in seeds[0]:
        names = sorted(set.union(*(set(seed[limit]) for seed in seeds)))
        having = {name: [number for number, seed in enumerate(seeds) if name in seed[limit]] for name in names}
        keys = {name: {number: f"{number} {limit} {name}" for number in having[name]} for name in names}
        cosines = {name: {seed: pairs.cosines(models[key]) for seed, key in own.items()} for name, own in keys.items()}
        rows = {name: [pairs.score(one) for one in own.values()] for name, own in cosines.items()}
        facts = ("error over floor", "parameters")
        result["limits"][str(limit)] = {
            "scores": rows,
            "time": {name: [times[key] for key in own.values()] for name, own in keys.items()},
            **{
                f: {name: [seeds[number][limit][name][f] for number in own] for name, own in having.items()}
                for f in facts
            },
            "ahead": ahead(pairs, cosines),
        }
        write_json(given.output, result)
        print(limit, {name: f"{fmean(own):.4f}" for name, own in rows.items()}, result["limits"][str(limit)]["ahead"])
    if given.figure:
        draw_students(result, given.figure)


if __name__ == "__main__":
    main()
