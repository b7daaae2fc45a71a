"""
MAGIC's claim at a small size: whether supernets whose paths change little, or are aligned, rank chains better than one
whose paths are drawn anew. The truth is block distillation from a real teacher: each chain trained alone.

    python benchmarks/searchers/magic.py --teacher PATH_OR_ID --train-file sentences.parquet --minutes 200

`truth` trains `--chains` chains, alike many with each number of attention layers, once for every seed. `supernets`
trains a supernet for every policy and seed on as many steps, and scores the same chains with its weights. `tau` is
Kendall's, with the first seed of the truth; the difference to single-path is paired by seed, and its interval
is a t interval over the supernets' seeds. The controls are the number of attention layers, and the truth's other seed.

Resumes: what is in the output is not made again. No part begins a training after `--minutes` of this process's time.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from scipy.stats import kendalltau, t

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.corpus import open_text, prepare
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.distilling.teacher_cache import TeacherCache
from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.blocks import BlockDistillation
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.policies import Anchored, MagicT, SinglePath
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations
from autobert_hf.searchers.supernets import ChoiceSupernet, sampled


POLICIES = ("single-path", "magic-t-1", "magic-t-2", "magic-t-4", "magic-a", "magic-at")
ATTENTION = 4 * 12  # heads times four: a width has to be a multiple
CACHED = 6 * 2**30  # bytes of the teacher's states
# What the results depend on.
ASKED = ("borders", "width", "layers", "chains", "steps", "learning_rate", "batch_size", "length", "held_out_rows")
ASKED += ("supernet_steps", "alignment")


class Study:
    """`results` is what the output file holds."""

    def __init__(self, given: argparse.Namespace, text: Text, team: Team) -> None:
        self.given, self.text, self.team = given, text, team
        self.teacher = Teacher(given.teacher, text.tokenizer, team.device)
        self.base = AutoBertConfig(
            vocab_size=len(text.tokenizer),
            hidden_size=given.width,
            num_hidden_layers=given.layers,
            norm_position="pre",
            num_attention_heads=12,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.base._attn_implementation = "sdpa"
        self.space = ChainSpace(main_operations(given.width), given.layers, given.width)
        asked = {name: getattr(given, name) for name in ASKED}
        output = given.output
        self.results: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"asked": asked}
        if self.results["asked"] != asked:
            raise SystemExit(f"{output} holds a study of {self.results['asked']}: give another --output.")

    def once(self, group: str, name: str, make: Callable[[], Any]) -> None:
        known = self.results.setdefault(group, {})
        if name in known or time.process_time() > 60 * self.given.minutes:
            return
        began = time.process_time()
        known[name] = {"found": make(), "seconds": time.process_time() - began}
        write_json(self.given.output, self.results)
        print(group, name, f"{known[name]['seconds']:.0f} s", flush=True)

    def forget(self) -> None:
        """All networks of a seed see the same batches, those of another seed others."""
        self.teacher.cache = TeacherCache(self.team.device.type, CACHED)

    def loss(self) -> BlockDistillation:
        loss = BlockDistillation(self.base, self.teacher, self.given.borders)
        loss.fit([], self.text.fitting_batches("ridge"))
        return loss

    def recipe(self, steps: int) -> Recipe:
        return Recipe(steps, self.given.learning_rate, 0.1, 0.3)

    def chains(self) -> list[Architecture]:
        """As many with each number of attention layers; the other operations are drawn."""
        rng, found = Random(0), dict[Architecture, None]()
        attention, *others = self.space.operations
        for number in range(10 * self.given.chains):
            layers = rng.choices(others, k=self.space.length)
            for place in rng.sample(range(self.space.length), number % (self.space.length + 1)):
                layers[place] = attention
            if len(found) < self.given.chains:
                found[self.space.of(*layers)] = None
        return [*found]

    def truth(self) -> None:
        for seed in range(self.given.truth_seeds):
            self.forget()
            for at, chain in enumerate(self.chains()):
                self.once("truth", f"{at} {seed}", partial(self.alone, chain, seed))

    def alone(self, chain: Architecture, seed: int) -> float:
        loss = self.loss()
        torch.manual_seed(seed)
        model = loss.network(chain.to_config(self.base))
        self.train(model, loss, lambda step, shard: [model], self.given.steps, seed)
        return HeldOut(loss, self.text.held_out, self.team)(model.eval())

    def train(self, module, loss: Loss, networks, steps: int, seed: int, states=()) -> None:  # noqa: ANN001
        trainer = Trainer(module, loss, networks, self.recipe(steps), self.team, states, seed)
        trainer.run(self.text.with_seed(seed).stream("train"))

    def supernets(self) -> None:
        for seed in range(self.given.seeds):
            self.forget()
            for policy in POLICIES:
                self.once(
                    "supernets", f"{policy} {seed}", lambda policy=policy, seed=seed: self.inherited(policy, seed)
                )

    def inherited(self, name: str, seed: int) -> list[float]:
        """The losses of the chains with the weights of a supernet trained so."""
        loss = self.loss()
        supernet = ChoiceSupernet(self.space, self.base, seed, loss.network)
        walks = name.startswith("magic-t") or name == "magic-at"
        changes = int(name[-1]) if name.startswith("magic-t") else 1
        policy: Policy = MagicT(self.space, seed, changes) if walks else SinglePath(self.space, seed)
        trained: Loss = loss
        if name in ("magic-a", "magic-at"):
            judge = HeldOut(loss, self.text.held_out[:4], self.team)
            anchored = policy = Anchored(policy, lambda one: -judge(supernet.network(one, training=False)))
            trained = Aligned(
                loss,
                lambda step: [supernet.network(anchored.anchor, training=False)],
                self.space.length,
                self.given.alignment,
                begin=self.given.supernet_steps // 10,
            )
        self.train(supernet.module, trained, sampled(supernet, policy), self.given.supernet_steps, seed, [policy])
        held_out = HeldOut(loss, self.text.held_out, self.team)
        return [held_out(supernet.network(one, training=False)) for one in self.chains()]

    def report(self) -> None:
        found, chains = self.results, self.chains()
        if any(f"{at} 0" not in found["truth"] for at in range(len(chains))):
            return
        by_chain = [
            [
                found["truth"][name]["found"]
                for seed in range(self.given.truth_seeds)
                if (name := f"{at} {seed}") in found["truth"]
            ]
            for at in range(len(chains))
        ]
        twice = [values[:2] for values in by_chain if len(values) > 1]
        truth, attention = np.array([values[0] for values in by_chain]), next(iter(self.space.operations))
        counts = [-self.space.names(one).count(attention) for one in chains]
        table: dict[str, Any] = {
            "chains with two seeds": len(twice),
            "seed against seed": kendalltau(*zip(*twice, strict=True)).statistic if twice else None,
            "number of attention layers": kendalltau(counts, truth).statistic,
            "its opposite": kendalltau([-count for count in counts], truth).statistic,
            "errors, least and largest": [float(truth.min()), float(truth.max())],
        }
        taus: dict[str, dict[int, float]] = {}
        for name, row in found.get("supernets", {}).items():
            policy, seed = name.split()
            taus.setdefault(policy, {})[int(seed)] = kendalltau(row["found"], truth).statistic
            inside = within(row["found"], truth, counts)
            table.setdefault("within equal numbers", {}).setdefault(policy, {})[seed] = inside
        for policy, by_seed in taus.items():
            both = [seed for seed in by_seed if seed in taus["single-path"]]
            gap = np.array([by_seed[seed] - taus["single-path"][seed] for seed in both])
            ends = None  # of one seed there is no interval
            if len(gap) > 1:
                half = t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / len(gap) ** 0.5
                ends = [float(gap.mean() - half), float(gap.mean() + half)]
            table[policy] = {
                "tau": by_seed,
                "mean": float(np.mean([*by_seed.values()])),
                "minus single-path": float(gap.mean()),
                "interval": ends,
            }
        found["table"] = table
        write_json(self.given.output, found)
        print(json.dumps(table, indent=1))


def within(scores: Sequence[float], truth: Sequence[float], counts: Sequence[int]) -> float:
    """Kendall's tau over the pairs of chains with equally many attention layers."""
    agree = [
        np.sign(scores[i] - scores[j]) * np.sign(truth[i] - truth[j])
        for i in range(len(counts))
        for j in range(i)
        if counts[i] == counts[j]
    ]
    return float(np.mean(agree))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--train-file", required=True, help="A sentence a row.")
    parser.add_argument("--validation-file", required=True)
    parser.add_argument("--parts", nargs="+", choices=("truth", "supernets"), default=("truth", "supernets"))
    parser.add_argument("--minutes", type=float, default=200, help="Processor time after which no training begins.")
    parser.add_argument("--borders", type=int, nargs=2, default=[3, 6], help="Layers of the teacher.")
    parser.add_argument("--width", type=int, default=192, help=f"A multiple of {ATTENTION}.")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--chains", type=int, default=48)
    parser.add_argument("--truth-seeds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=6, help="Of the supernets.")
    parser.add_argument("--steps", type=int, default=500, help="Of a chain alone.")
    parser.add_argument("--supernet-steps", type=int, default=1000)
    parser.add_argument("--alignment", type=float, default=0.5)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--held-out-rows", type=int, default=128)
    parser.add_argument("--work", type=Path, default=Path("runs/magic"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/magic.json"))
    given = parser.parse_args(arguments)
    source = Source(
        [given.train_file], [given.validation_file], "", given.teacher, 0, given.length, seed=0, rows="texts"
    )
    prepare(source, given.work / "text")
    team = Team(Accelerator(cpu=True))
    text = open_text(source, given.work / "text", given.batch_size, given.held_out_rows, 0, team.device)
    study = Study(given, text, team)
    for part in given.parts:
        getattr(study, part)()
    study.report()


if __name__ == "__main__":
    main()
