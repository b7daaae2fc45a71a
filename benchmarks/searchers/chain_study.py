"""
Do supernets whose paths change little, or are aligned, rank chains better than one whose paths are drawn anew? The
study of MAGIC's claim, for any task that a chain can be trained on: magic.py and digits.py give it one.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata, t

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.loss import Loss, Network, Step
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.json_files import write_json
from autobert_hf.searchers.policies import Anchored, MagicT, SinglePath
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.chain import ChainSpace
from autobert_hf.searchers.supernets import ChoiceSupernet, sampled


POLICIES = ("single-path", "magic-t-1", "magic-t-2", "magic-t-4", "magic-a", "magic-at")
JUDGED = 4  # held-out batches on which anchors are compared


class Task(Protocol):
    """What chains are trained on. `renew` is called before the networks of another seed are trained."""

    base: AutoBertConfig
    space: ChainSpace
    team: Team
    held_out: Sequence[Batch]

    def loss(self) -> Loss: ...
    def stream(self, seed: int) -> Callable[[int], Batch]: ...
    def renew(self) -> None: ...


@dataclass
class ChainStudy:
    """`results` is what the output file holds: what is in it is not made again."""

    given: argparse.Namespace
    task: Task
    asked: Mapping[str, Any]

    def __post_init__(self) -> None:
        output = self.given.output
        self.results: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"asked": self.asked}
        if self.results["asked"] != self.asked:
            raise SystemExit(f"{output} holds a study of {self.results['asked']}: give another --output.")

    def once(self, group: str, name: str, make: Callable[[], Any]) -> None:
        known = self.results.setdefault(group, {})
        if name in known or time.process_time() > 60 * self.given.minutes:
            return
        began = time.process_time()
        known[name] = {"found": make(), "seconds": time.process_time() - began}
        write_json(self.given.output, self.results)
        print(group, name, f"{known[name]['seconds']:.0f} s", flush=True)

    def chains(self) -> list[Architecture]:
        """As many with each number of attention layers; the other operations are drawn."""
        space = self.task.space
        rng, found = Random(0), dict[Architecture, None]()
        attention, *others = space.operations
        for number in range(10 * self.given.chains):
            layers = rng.choices(others, k=space.length)
            for place in rng.sample(range(space.length), number % (space.length + 1)):
                layers[place] = attention
            if len(found) < self.given.chains:
                found[space.of(*layers)] = None
        return [*found]

    def truth(self) -> None:
        for seed in range(self.given.truth_seeds):
            self.task.renew()
            for at, chain in enumerate(self.chains()):
                self.once("truth", f"{at} {seed}", partial(self.alone, chain, seed))

    def alone(self, chain: Architecture, seed: int) -> float:
        loss = self.task.loss()
        torch.manual_seed(seed)
        model = loss.network(chain.to_config(self.task.base))
        self.train(model, loss, lambda step, shard: [model], self.given.steps, seed)
        return HeldOut(loss, self.task.held_out, self.task.team)(model.eval())

    def train(self, module, loss: Loss, networks, steps: int, seed: int, states=()) -> None:  # noqa: ANN001
        recipe = Recipe(steps, self.given.learning_rate, 0.1, 0.3)
        trainer = Trainer(module, loss, networks, recipe, self.task.team, states, seed)
        trainer.run(self.task.stream(seed))

    def supernets(self) -> None:
        for seed in range(self.given.seeds):
            self.task.renew()
            for policy in self.given.policies:
                self.once("supernets", f"{policy} {seed}", partial(self.inherited, policy, seed))

    def inherited(self, name: str, seed: int) -> list[float]:
        """The losses of the chains with the weights of a supernet trained so."""
        space, loss = self.task.space, self.task.loss()
        supernet = ChoiceSupernet(space, self.task.base, seed, loss.network)
        policy, trained = self.paths(name, seed), loss
        if name in ("magic-a", "magic-at"):
            policy, trained = self.aligned(policy, supernet, loss)
        self.train(supernet.module, trained, sampled(supernet, policy), self.given.supernet_steps, seed, [policy])
        held_out = HeldOut(loss, self.task.held_out, self.task.team)
        return [held_out(supernet.network(one, training=False)) for one in self.chains()]

    def paths(self, name: str, seed: int) -> Policy:
        if not name.startswith("magic-t") and name != "magic-at":
            return SinglePath(self.task.space, seed)
        return MagicT(self.task.space, seed, int(name[-1]) if name.startswith("magic-t") else 1)

    def aligned(self, paths: Policy, supernet: ChoiceSupernet, loss: Loss) -> tuple[Anchored, Loss]:
        batches = self.task.held_out[:JUDGED]
        error = HeldOut(loss, batches, self.task.team)

        def judge(one: Architecture) -> float:
            network = supernet.network(one, training=False)
            accuracy = loss.accuracy(network, batches)
            return -error(network) if accuracy is None else accuracy

        def anchors(step: Step) -> list[Network]:
            return [supernet.network(anchored.anchor, training=False)]

        anchored, begin = Anchored(paths, judge), self.given.supernet_steps // 10
        return anchored, Aligned(loss, anchors, self.task.space.length, self.given.alignment, begin=begin)

    def favoured(self, policy: str, seed: int, chains: Sequence[Architecture]) -> float:
        """
        Correlation of how many ranks too well a chain is placed with the share of its operations in the paths of the
        last 30 % of the steps, in which the rate falls.
        """
        paths, steps, names = self.paths(policy, seed), self.given.supernet_steps, self.task.space.names
        late = [names(paths(step, 0)[0]) for step in range(int(0.7 * steps), steps)]
        shares = [np.mean([np.equal(names(one), path).mean() for path in late]) for one in chains]
        known, seeds = self.results["truth"], range(self.given.truth_seeds)
        truth = [np.mean([known[f"{at} {number}"]["found"] for number in seeds]) for at in range(len(chains))]
        gained = rankdata(truth) - rankdata(self.results["supernets"][f"{policy} {seed}"]["found"])
        return float(np.corrcoef(gained, shares)[0, 1])

    def report(self) -> None:
        found, chains, space = self.results, self.chains(), self.task.space
        if any(f"{at} 0" not in found.get("truth", {}) for at in range(len(chains))):
            return
        counts = [space.names(one).count(next(iter(space.operations))) for one in chains]
        found["table"] = table(found, counts, self.given.truth_seeds)
        for name in found.get("supernets", {}):
            policy, seed = name.split()
            found["table"][policy].setdefault("favoured", []).append(self.favoured(policy, int(seed), chains))
        write_json(self.given.output, found)
        print(json.dumps(found["table"], indent=1))


def table(found: Mapping[str, Any], counts: Sequence[int], seeds: int) -> dict[str, Any]:
    """
    Kendall's tau with the mean of the truth's seeds, and the difference to single-path, paired by seed: mean and 95 %
    t interval over the supernets' seeds. `counts`: the attention layers of each chain.
    """
    each = np.array([[found["truth"][f"{at} {seed}"]["found"] for seed in range(seeds)] for at in range(len(counts))])
    truth = each.mean(1)
    rows: dict[str, Any] = {
        "seed against seed": kendalltau(each[:, 0], each[:, 1]).statistic if seeds > 1 else None,
        "seed against seed, within equal numbers": within(each[:, 0], each[:, 1], counts) if seeds > 1 else None,
        "number of attention layers": kendalltau(counts, -truth).statistic,
        "errors, least and largest": [float(truth.min()), float(truth.max())],
    }
    taus: dict[str, dict[int, tuple[float, float]]] = {}
    for name, row in found.get("supernets", {}).items():
        policy, seed = name.split()
        inside = within(row["found"], truth, counts)
        taus.setdefault(policy, {})[int(seed)] = kendalltau(row["found"], truth).statistic, inside
    for policy, by_seed in taus.items():
        both = [seed for seed in by_seed if seed in taus.get("single-path", {})]
        rows[policy] = {"seeds": [*by_seed]}
        for at, measure in enumerate(("tau", "tau within equal numbers")):
            gaps = [by_seed[seed][at] - taus["single-path"][seed][at] for seed in both]
            values = [found[at] for found in by_seed.values()]
            rows[policy][measure] = {"mean": float(np.mean(values)), "each": values, "gap": interval(gaps)}
    return rows


def interval(values: Sequence[float]) -> list[float]:
    """The mean and, of more than one, the ends of its 95 % t interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return [mean]
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return [mean, mean - half, mean + half]


def within(scores: Sequence[float], truth: Sequence[float], counts: Sequence[int]) -> float:
    """Kendall's tau over the pairs of chains with equally many attention layers."""
    agree = [
        np.sign(scores[i] - scores[j]) * np.sign(truth[i] - truth[j])
        for i in range(len(counts))
        for j in range(i)
        if counts[i] == counts[j]
    ]
    return float(np.mean(agree))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=("truth", "supernets"), default=("truth", "supernets"))
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--minutes", type=float, default=200, help="Processor time after which no training begins.")
    parser.add_argument("--chains", type=int, default=48)
    parser.add_argument("--truth-seeds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=6, help="Of the supernets.")
    parser.add_argument("--steps", type=int, default=500, help="Of a chain alone.")
    parser.add_argument("--supernet-steps", type=int, default=1000)
    parser.add_argument("--alignment", type=float, default=0.5)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--output", type=Path, required=True)


def run(given: argparse.Namespace, task: Task, asked: Sequence[str]) -> None:
    """`asked`: the arguments that the results depend on, beside those of `add_arguments`."""
    common = ("chains", "steps", "supernet_steps", "alignment", "layers", "learning_rate")
    study = ChainStudy(given, task, {name: getattr(given, name) for name in sorted([*common, *asked])})
    for part in given.parts:
        getattr(study, part)()
    study.report()
