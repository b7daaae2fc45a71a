"""
How well untrained scores rank trained decoders: byte-level decoders of .1 to 1 M decoder parameters, some of them of
one width, each trained from scratch on next words with several seeds.

    python benchmarks/searchers/lts_proxies.py --train-file TEXT --validation-file TEXT --folder FOLDER

Of each network the loss is kept when its training ends; the same command goes on. Writes
`benchmarks/results/lts_proxies.json`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.byte_level import train_byte_level
from autobert_hf.lab.data.corpus import Source, open_text, prepare
from autobert_hf.lab.data.text import vocabulary_size
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.lab.measuring.zero_cost import ZERO_COST
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.modeling.arithmetic import count_encoder_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import PROXIES, arithmetic_scores
from autobert_hf.records.json_files import write_json, write_record
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.analysis.rank_statistics import ceiling, rank_agreement
from autobert_hf.searchers.evaluators.stand_alone import StandAlone
from autobert_hf.searchers.settings.layer_ranges import LayerRangeSettings
from autobert_hf.searchers.spaces.lts import LtsSpace


LOSS = LOSSES["next-words"]
SPACE = LtsSpace(range(1, 7), range(32, 129, 16), range(64, 513, 32), (2, 4))
LEAST, MOST = 1e5, 1e6  # decoder parameters
WIDTH = 64  # of the networks that are compared inside one width


def base_config(vocab_size: int, length: int) -> AutoBertConfig:
    """As those of `--method lts`, of this vocabulary."""
    return LayerRangeSettings("", length=length).base_config(vocab_size, {})


def networks(base: AutoBertConfig, number: int, inside: int) -> list[Architecture]:
    """`inside` of them have the width `WIDTH`; the others any, evenly spread over the logarithm of their size."""
    rng, found = Random(derive(0, "lts proxies")), list[Architecture]()
    one_width = LtsSpace(SPACE.num_hidden_layers, (WIDTH,), SPACE.intermediate_size, SPACE.num_attention_heads)
    for place in range(number):
        is_inside = place < inside
        share = place / max(inside - 1, 1) if is_inside else (place - inside) / max(number - inside - 1, 1)
        wanted = LEAST * (MOST / LEAST) ** share
        space = one_width if is_inside else SPACE
        drawn = [space.sample(rng) for _ in range(100)]
        found.append(min(drawn, key=lambda one: abs(count_encoder_parameters(one.to_config(base)) / wanted - 1)))
    return found


def untrained_scores(base: AutoBertConfig, one: Architecture, length: int) -> dict[str, float]:
    config, workload = one.to_config(base), Workload(length=length)
    model = untrained(config).eval()
    zero_cost = {name: score(model, workload) for name, score in ZERO_COST.items()}
    sizes = arithmetic_scores(config, [*PROXIES])
    return {name: (sizes | zero_cost)[name] for name in PROXIES}


def agreements(rows: Sequence[dict[str, Any]], seeds: Sequence[int]) -> dict[str, Any]:
    """Spearman's rho of each score with the mean loss (lower is better, so scores are negated), and the ceiling."""
    losses = [fmean(row["losses"][str(seed)] for seed in seeds) for row in rows]
    cheap = {name: [-row["scores"][name] for row in rows] for name in PROXIES}
    found = {name: vars(one["spearman"]) for name, one in rank_agreement(cheap, losses).items()}
    highest = ceiling([[row["losses"][str(seed)] for row in rows] for seed in seeds])
    return {"n": len(rows), "rho": found, "ceiling": vars(highest["spearman"]) if highest else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-file", nargs="*", default=[], help="Default: the built-in text.")
    parser.add_argument("--validation-file", nargs="*", default=[])
    parser.add_argument("--folder", type=Path, required=True, help="Folder for the text and the losses so far.")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--inside", type=int, default=6, help=f"Networks of width {WIDTH}.")
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--held-out-rows", type=int, default=512)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/lts_proxies.json"))
    given = parser.parse_args()

    bytes_only = given.folder / "bytes"
    train_byte_level(["a"], 0, given.length, cased=True).save_pretrained(bytes_only)
    source = Source(
        given.train_file, given.validation_file, "", str(bytes_only), 0, given.length, 0, LOSS.rows, cased=True
    )
    prepare(source, given.folder / "text")
    team = Team(Accelerator(cpu=True))
    text = open_text(source, given.folder / "text", given.batch_size, given.held_out_rows, 0, team.device)
    base = base_config(vocabulary_size(text.tokenizer), given.length)
    recipe = Recipe(given.tokens // text.train.tokens_per_batch, given.learning_rate, decay=0.3)

    def fresh(one: Architecture, seed: int) -> PreTrainedModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return LOSS.network(one.to_config(base))

    kept = given.folder / "losses.json"
    rows: dict[str, Any] = read_report(kept)
    for number, one in enumerate(networks(base, given.networks, given.inside)):
        row = rows.setdefault(str(number), {"architecture": one.to_json(), "losses": {}})
        row["scores"] = row.get("scores") or untrained_scores(base, one, given.length)
        for seed in given.seeds:
            if str(seed) not in row["losses"]:
                alone = StandAlone(fresh, lambda model: LOSS(model.config), text, recipe, team, seed)
                scores, cost = alone.evaluate(number, one, lambda step, found: True)
                row["losses"][str(seed)] = scores["loss"]
                write_record(kept, rows)
                print(number, seed, f"{scores['loss']:.4f}", f"{cost['seconds']:.0f} s", flush=True)
    chosen = [rows[str(number)] for number in range(given.networks)]
    inside = [row for row in chosen if row["scores"]["width"] == WIDTH]
    report = {"all": agreements(chosen, given.seeds), f"width {WIDTH}": agreements(inside, given.seeds)}
    write_json(given.output, {"asked": {k: str(v) for k, v in vars(given).items()}, "rows": rows} | report)
    for where, found in report.items():
        print(f"{where}: {found['n']} networks, rho between seeds {found['ceiling']}")
        for name, rho in found["rho"].items():
            print(f"    {name:25} {rho['value']:6.3f} [{rho['low']:.3f}, {rho['high']:.3f}]")


if __name__ == "__main__":
    main()
