"""
AutoDistil's claims at a small size, with a real teacher: one box of sizes against one of three, the sandwich rule
against uniform draws, the relation loss as a score that ranks students, and the best student against AutoTinyBERT's.

    python benchmarks/searchers/autodistil.py --teacher PATH_OR_ID --train-file text.parquet --minutes 90
    python benchmarks/searchers/autodistil.py ... --parts best --pairs stsb/validation.parquet

`boxes` and `policies` compare held-out relation losses of the same students in differently trained supernets, paired
by seed; both supernets see the same batches, and the policies run equally many networks in a step. (All of K = 3 costs
three times the seconds of its one box here.) `ranking` takes students of one box out of its supernet and trains each
alone, once for every seed: agreement of the first with the mean of the second, and between seeds (the ceiling). `best`
searches with both methods at one latency limit and trains both students alike on sentences, as relations leave the
last layer's output untrained; `--pairs` scores them on pairs of sentences.

Resumes: what is in the output is not made again. No part begins a training after `--minutes` of this process's time.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import autobert_hf
from autobert_hf.api import open_run
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.accelerate_state import AccelerateState
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.analysis.rank_statistics import ceiling, rank_agreement
from autobert_hf.searchers.methods.autodistil import AutoDistil, AutoDistilSettings
from autobert_hf.searchers.policies import POLICIES
from autobert_hf.searchers.settings.described import Quantity
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.spaces.size_box import SizeBox
from autobert_hf.searchers.supernets.boxes import box_supernet
from autobert_hf.searchers.supernets.sliced import SlicedSupernet
from autobert_hf.searchers.supernets.supernet import sampled


PARTS = ("boxes", "policies", "ranking", "best")
STUDENTS = 12  # of the comparison of boxes
# What the results depend on.
ASKED = ("loss", "steps", "alone_steps", "learning_rate", "batch_size", "length", "held_out_rows", "networks")


class OutOfTimeError(Exception):
    """The minutes are used up."""


class Study:
    """`results` is what the output file holds."""

    def __init__(self, method: AutoDistil, given: argparse.Namespace) -> None:
        self.method, self.given = method, given
        self.large = method.start.model()
        self.held_out = HeldOut(method.loss, method.text.held_out, method.run.team)
        self.few = AutoDistilSpace.of(3, method.base).boxes[0]
        (self.whole,) = AutoDistilSpace.of(1, method.base).boxes
        asked = {name: getattr(given, name) for name in ASKED}
        output = given.output
        self.results: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"asked": asked}
        if self.results["asked"] != asked:
            raise SystemExit(
                f"{output} holds a study of {self.results['asked']}: ask for it, or give another --output."
            )

    def once(self, group: str, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 (JSON)
        """What `make` gives, from the output if it is there; with the seconds of processor time that it took."""
        known = self.results.setdefault(group, {})
        if name not in known:
            if time.process_time() > 60 * self.given.minutes:
                raise OutOfTimeError
            began = time.process_time()
            known[name] = {"found": make(), "seconds": time.process_time() - began}
            write_json(self.given.output, self.results)
            print(group, name, f"{known[name]['seconds']:.0f} s", flush=True)
        return known[name]["found"]

    def made(self, parts: Sequence[Callable[[], object]]) -> bool:
        """Whether there was time for all."""
        try:
            for part in parts:
                part()
        except OutOfTimeError:
            print(f"{self.given.minutes:g} minutes are used up: the same command goes on, with more.")
            return False
        write_json(self.given.output, self.results)
        return True

    def supernet(self, name: str, box: SizeBox, policy: str, number: int, seed: int) -> SlicedSupernet:
        """Trained, or read from the run's folder."""
        method, supernet = self.method, box_supernet(box, self.large)
        drawn = POLICIES[policy](box, seed, number)
        recipe = Recipe(self.given.steps, self.given.learning_rate, 0.1, 0.3, over_networks="sum")
        team, networks = method.run.team, sampled(supernet, drawn)
        trainer = Trainer(supernet.module, method.loss, networks, recipe, team, [drawn], seed)
        method.run.train(f"supernet/{name}-{seed}", trainer, method.text.with_seed(seed).stream("supernet"))
        return supernet

    def losses(self, supernet: SlicedSupernet, students: Sequence[Architecture]) -> list[float]:
        return [self.held_out(supernet.network(one, training=False)) for one in students]

    def boxes(self) -> None:
        """Students that lie in the box of K = 1 and in the smallest of K = 3."""
        both = [one for one in self.few.enumerate() if self.whole.contains(one)]
        students = Random(0).sample(both, min(STUDENTS, len(both)))
        for seed in range(self.given.seeds):
            for name, box in (("K=1", self.whole), ("K=3", self.few)):
                self.once(
                    "boxes",
                    f"{name} {seed}",
                    lambda name=name, box=box, seed=seed: self.losses(
                        self.supernet(name, box, "sandwich", 2, seed), students
                    ),
                )
        self.compare("boxes", "K=1", "K=3")

    def policies(self) -> None:
        """The smallest, the largest and three others, trained by four networks in every step."""
        students = [self.few.smallest(), self.few.largest(), *(self.few.sample(Random(at)) for at in range(3))]
        for seed in range(self.given.seeds):
            for name, policy, number in (("K=3", "sandwich", 2), ("uniform", "uniform", 4)):
                self.once(
                    "policies",
                    f"{name} {seed}",
                    lambda name=name, policy=policy, number=number, seed=seed: self.losses(
                        self.supernet(name, self.few, policy, number, seed), students
                    ),
                )
        self.compare("policies", "uniform", "K=3")

    def compare(self, group: str, one: str, other: str) -> None:
        """By student: the mean over seeds of both, and of their difference with its standard error over the seeds."""
        found = self.results[group]
        seeds = [seed for seed in range(self.given.seeds) if {f"{one} {seed}", f"{other} {seed}"} <= found.keys()]
        first, second = (np.array([found[f"{name} {seed}"]["found"] for seed in seeds]) for name in (one, other))
        gap = first - second
        errors = gap.std(0, ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else np.full(gap.shape[1], np.nan)
        rows = zip(first.mean(0), second.mean(0), gap.mean(0), errors, strict=True)
        table = [dict(zip((one, other, "difference", "error"), map(float, row), strict=True)) for row in rows]
        self.results[f"{group}: {one} minus {other}"] = table
        for row in table:
            print(group, " ".join(f"{name} {value:.4f}" for name, value in row.items()))

    def ranking(self) -> None:
        """Inherited relation losses against those after further steps of training alone."""
        students = [*self.few.enumerate()]
        students = Random(1).sample(students, min(self.given.networks, len(students)))
        supernet = self.supernet("K=3", self.few, "sandwich", 2, 0)
        cheap = self.once("ranking", "inherited", lambda: self.losses(supernet, students))
        for seed in range(self.given.alone_seeds):
            for at, one in enumerate(students):
                self.once("alone", f"{at} {seed}", lambda one=one, seed=seed: self.trained_alone(supernet, one, seed))
        alone = [
            [self.results["alone"][f"{at} {seed}"]["found"] for at in range(len(students))]
            for seed in range(self.given.alone_seeds)
        ]
        flops = [-count_flops(one.to_config(self.method.base)) for one in students]
        found = rank_agreement({"inherited": cheap, "FLOPs": flops}, np.mean(alone, 0).tolist())
        best = ceiling(alone)
        rows = found | ({"ceiling": best} if best else {})
        table = {name: {key: vars(value) for key, value in row.items()} for name, row in rows.items()}
        self.results["agreement"] = table
        print(*(f"{name}: tau {row['kendall']}" for name, row in rows.items()), sep="\n")

    def trained_alone(self, supernet: SlicedSupernet, student: Architecture, seed: int) -> float:
        method, model = self.method, supernet.extract(student)
        recipe = Recipe(self.given.alone_steps, self.given.learning_rate, 0.1, 0.3)
        trainer = Trainer(model, method.loss, lambda step, shard: [model], recipe, method.run.team, seed=seed)
        trainer.run(method.text.with_seed(seed).stream("alone"))
        return self.held_out(model.eval())


def best(given: argparse.Namespace) -> dict[str, Any]:
    """
    Both methods at one limit, with as many networks per row in the supernets' trainings (four in a step here, three
    there) and the same final training.
    """
    same = {
        **{"teacher": given.teacher, "train_file": given.train_file, "max_latency": given.max_latency},
        **{"length": given.length, "batch_size": given.batch_size, "held_out_rows": given.held_out_rows},
        **{"final_loss": "sentences", "final_tokens": given.final_tokens, "max_train_tokens": given.max_train_tokens},
        **{"num_trials": given.trials, "cpu": given.cpu, "learning_rate": given.learning_rate},
    }
    own = {
        "autodistil": {"loss": given.loss, "supernet_steps": given.steps, "final_training": "continue"},
        "autotinybert": {"loss": "sentences", "supernet_steps": given.steps * 4 // 3, "baselines": False},
    }
    rows = {}
    for method, settings in own.items():
        began, folder = time.process_time(), given.work / f"best-{method}"
        study = autobert_hf.search(method, output_dir=folder, **same, **settings)
        (trial,) = study.picks().values()
        timed = json.loads((folder / "report" / "latency.json").read_text())[f"trial {trial.id}"]
        rows[method] = {
            "latency": timed["ratio"],
            "latency error": timed["error"],
            "architecture": trial.architecture.to_json(),
            "seconds": time.process_time() - began,
        }
        if given.pairs:
            rows[method]["spearman"] = spearman(folder / "model", given.pairs)
        print(method, {name: value for name, value in rows[method].items() if name != "architecture"}, flush=True)
    return rows


@torch.no_grad()
def spearman(model: Path, pairs: Path) -> float:
    """Of the cosines of sentence vectors with people's labels; columns sentence1, sentence2, label."""
    import pandas as pd
    from sentence_transformers import SentenceTransformer

    table, encoder = pd.read_parquet(pairs), SentenceTransformer(str(model), device="cpu")
    sides = ("sentence1", "sentence2")
    first, second = (encoder.encode(table[name].tolist(), normalize_embeddings=True) for name in sides)
    return float(spearmanr((first * second).sum(1), table["label"]).statistic)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--train-file", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--minutes", type=float, default=90, help="Processor time after which no training begins.")
    parser.add_argument("--seeds", type=int, default=3, help="Of the supernets.")
    parser.add_argument("--steps", type=int, default=500, help="Of each supernet.")
    parser.add_argument("--networks", type=int, default=24, help="Students that are ranked.")
    parser.add_argument("--trials", type=int, default=100, help="Candidates of each search of `best`.")
    parser.add_argument("--alone-steps", type=int, default=300)
    parser.add_argument("--alone-seeds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8, help="Rows; with 64 tokens each a batch has 512 at most.")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--held-out-rows", type=int, default=64)
    parser.add_argument("--loss", default="relations-kl")
    parser.add_argument("--max-latency", default="0.3")
    parser.add_argument("--final-tokens", type=int, default=300_000)
    parser.add_argument("--max-train-tokens", default="2M")
    parser.add_argument("--pairs", type=Path, help="Parquet for `best`: sentence1, sentence2, label.")
    parser.add_argument("--cpu", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--work", type=Path, default=Path("runs/autodistil"), help="Folder of the trainings.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/autodistil.json"))
    given = parser.parse_args(arguments)
    if given.loss not in LOSSES or not LOSSES[given.loss].needs_teacher:
        raise SystemExit(f"--loss {given.loss} compares nothing with a teacher: give relations-kl, -mse or -raw.")
    settings = AutoDistilSettings(
        str(given.work / "supernets"),
        "autodistil",
        teacher=given.teacher,
        train_file=[str(given.train_file)],
        loss=given.loss,
        **{name: getattr(given, name) for name in ("length", "batch_size", "held_out_rows", "cpu")},
        max_train_tokens=Quantity(given.max_train_tokens),
        shards=1,
    )
    with AccelerateState(), open_run(settings) as run:
        study = Study(AutoDistil(run, settings), given)
        in_time = study.made([getattr(study, part) for part in PARTS[:-1] if part in given.parts])
    if in_time and "best" in given.parts:  # searches open runs of their own
        study.made([lambda: study.once("best", "both", lambda: best(given))])


if __name__ == "__main__":
    main()
