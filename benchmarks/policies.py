"""
Do sub-networks of a sliced supernet rank as networks trained alone do? In the manner of AutoTinyBERT's section 5.3:
layers that may differ; alike (+ILS); part of every head instead of whole heads (named +SME here; but whole heads, as
before it, are the paper's extraction for pre-training, and networks have fewer heads when trained alone); several
sub-networks for every update (+EBL: six, each on half of the batch, three times the compute of the others, so that
+SME is trained for three times as long too). And how soon a network that starts with the supernet's weights has the
loss that it would reach from scratch.

    python benchmarks/policies.py --run runs/scratch --networks 48 --tokens 1000000 --steps 750

`--run` is a search by autotinybert without a teacher: its text, sizes and predictor of latencies are used, and every
third of the networks comes from one third of its latencies. Resumes: what is in the output is not trained again;
weights lie in the run's folder.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from tiny_runs import opened

from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import arithmetic_scores
from autobert_hf.records.json_files import write_json
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.analysis.rank_statistics import Agreement, agreement_difference, rank_agreement
from autobert_hf.searchers.evaluators.stand_alone import StandAlone
from autobert_hf.searchers.policies.batch_wise import BatchWise
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.supernets.sliced import SlicedSupernet
from autobert_hf.searchers.supernets.supernet import sampled


DRAWS = 600
LONGER = "+SME, three times the steps"


class Study:
    """`results` is what the output file holds."""

    def __init__(self, run: Path, output: Path, tokens: int, steps: int, number: int) -> None:
        search = opened(run)
        if search.teacher is not None:
            raise SystemExit(f"{run} learns from a teacher: give a search without one.")
        self.run, self.text, self.base, self.start = search.run, search.text, search.base, search.start
        self.space, self.latency = search.space, search.latency
        self.output, self.tokens = output, tokens
        self.rate = search.settings.learning_rate
        asked = {"tokens": tokens, "steps": steps, "networks": number}
        self.results: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"asked": asked}
        if self.results["asked"] != asked:
            raise SystemExit(
                f"{output} holds a study of {self.results['asked']}: ask for it, or give another --output."
            )
        s = search.settings
        part = AutoTinyBertSpace.within(self.base, True, s.width_step, s.inner_step)
        # space, shards of a batch, sub-networks for each of them, steps
        self.policies: dict[str, tuple[AutoTinyBertSpace, int, int, int]] = {
            "HAT": (replace(self.space, identical=False), 1, 1, steps),
            "+ILS": (self.space, 1, 1, steps),
            "+SME": (part, 1, 1, steps),
            "+EBL": (part, 2, 3, steps),
            LONGER: (part, 1, 1, 3 * steps),
        }

    def keep(self, group: str, name: str, value: Any) -> None:  # noqa: ANN401 (JSON)
        self.results.setdefault(group, {})[name] = value
        write_json(self.output, self.results)

    def networks(self, number: int) -> list[Architecture]:
        """As many from each third of the latencies, fast to slow."""
        drawn = dict.fromkeys(self.space.sample(Random(derive(0, "policies", at))) for at in range(DRAWS))
        ordered = sorted(drawn, key=self.latency)
        thirds = [ordered[len(ordered) * at // 3 : len(ordered) * (at + 1) // 3] for at in range(3)]
        return [one for third in thirds for one in Random(derive(0, "third")).sample(third, number // 3)]

    def train_alone(self, networks: Sequence[Architecture]) -> None:
        alone = StandAlone(self.fresh, lambda model: MaskedWords(model.config), self.text, self.recipe, self.run.team)
        for number, network in enumerate(networks):
            if str(number) not in self.results.get("alone", {}):
                scores, _ = alone.evaluate(number, network, lambda step, found: True)
                sizes = arithmetic_scores(network.to_config(self.base)) | {"latency": self.latency(network)}
                self.keep("alone", str(number), scores | sizes | {"architecture": network.to_json()})
                print(number, scores, flush=True)

    @property
    def recipe(self) -> Recipe:
        """Of a training alone."""
        return Recipe(self.tokens // self.text.train.tokens_per_batch, self.rate, decay=0.3)

    def fresh(self, network: Architecture, seed: int) -> AutoBertForMaskedLM:
        config = network.to_config(self.base)
        config._attn_implementation = self.base._attn_implementation
        torch.manual_seed(seed)
        return AutoBertForMaskedLM(config)

    def supernet(self, policy: str) -> SlicedSupernet:
        """Trained by the policy."""
        space, shards, number, steps = self.policies[policy]
        supernet = SlicedSupernet(space, self.start.model())
        drawn = BatchWise(space, 0, number)
        recipe = Recipe(steps, self.rate, decay=0.3, shards=shards)
        trainer = Trainer(
            supernet.module, MaskedWords(self.base), sampled(supernet, drawn), recipe, self.run.team, [drawn]
        )
        self.run.train(f"policies/{policy}", trainer, self.text.stream("final"))
        return supernet

    def judge(self, policy: str, networks: Sequence[Architecture]) -> None:
        if policy in self.results.get("supernets", {}):
            return
        supernet, held_out = self.supernet(policy), self.held_out(MaskedWords(self.base))
        space = self.policies[policy][0]
        losses = [held_out(supernet.network(in_space(network, space), training=False)) for network in networks]
        self.keep("supernets", policy, losses)

    def head_start(self, network: Architecture, number: int) -> None:
        """The curve of one network's training from the weights of the last policy's supernet."""
        if str(number) in self.results.get("head start", {}):
            return
        model = self.supernet("+EBL").extract(in_space(network, self.policies["+EBL"][0]))
        loss, recipe = MaskedWords(model.config), replace(self.recipe, shards=2)
        held_out = self.held_out(loss)
        trainer = Trainer(model, loss, lambda step, shard: [model], recipe, self.run.team)
        batches = self.text.with_seed(derive(0, "batches")).stream("final")
        curve = self.run.train(f"policies/start-{number}", trainer, batches, score=lambda: held_out(model.eval()))
        self.keep("head start", str(number), curve)

    def held_out(self, loss: MaskedWords) -> HeldOut:
        return HeldOut(loss, self.text.held_out, self.run.team)

    def report(self) -> None:
        alone = [self.results["alone"][str(number)] for number in range(len(self.results["alone"]))]
        real = [row["loss"] for row in alone]
        cheap = self.results["supernets"] | {"parameters": [-row["parameters"] for row in alone]}
        self.results["agreement"] = plain(rank_agreement(cheap, real))
        thirds = [range(len(real) * at // 3, len(real) * (at + 1) // 3) for at in range(3)]  # as they were drawn
        self.results["in each third of the latencies"] = [
            plain(
                rank_agreement(
                    {name: [own[i] for i in third] for name, own in cheap.items()}, [real[i] for i in third]
                )
            )
            for third in thirds
        ]
        self.results["+EBL ahead of"] = plain(
            {name: agreement_difference(cheap["+EBL"], own, real) for name, own in cheap.items() if name != "+EBL"}
        )
        write_json(self.output, self.results)
        for group in ("agreement", "+EBL ahead of"):
            for name, own in self.results[group].items():
                cells = (f"{key} {v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for key, v in own.items())
                print(group, name, *cells)
        for number, curve in self.results.get("head start", {}).items():
            curve = [(0, cheap["+EBL"][int(number)]), *curve]
            reached = next((tokens for tokens, loss in curve if loss <= real[int(number)]), None)
            print(f"network {number}: {real[int(number)]:.3f} after {self.tokens:,} tokens, or after {reached} more")


def plain(agreements: Mapping[str, Agreement]) -> dict[str, Any]:
    return {name: {key: asdict(value) for key, value in own.items()} for name, own in agreements.items()}


def in_space(network: Architecture, space: AutoTinyBertSpace) -> Architecture:
    """The same attention width in as many heads as the space has, where their number is fixed."""
    settings = dict(network.settings)
    if len(space.num_attention_heads) > 1:
        return network
    heads, width = space.num_attention_heads[0], settings["num_attention_heads"] * settings["head_dim"]
    if width % heads:
        raise SystemExit(f"An attention width of {width} does not make {heads} heads: give a search with wider heads.")
    return Architecture.of(
        network.layer_dicts, **settings | {"num_attention_heads": heads, "head_dim": width // heads}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="Of a training alone.")
    parser.add_argument("--steps", type=int, default=750, help="Of each supernet.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/policies.json"))
    given = parser.parse_args()
    study = Study(given.run, given.output, given.tokens, given.steps, given.networks)
    networks = study.networks(given.networks)
    for policy in study.policies:
        study.judge(policy, networks)
    study.train_alone(networks)
    for number in range(0, len(networks), max(len(networks) // 3, 1)):
        study.head_start(networks[number], number)
    study.report()


if __name__ == "__main__":
    main()
