"""
The network that a run found against controls of equal parameters: the same text, recipe and tokens, from scratch.

    python benchmarks/networks.py --run runs/prose --seeds 0 1 --output benchmarks/results/networks.json

Resumes: a network that is in the output is not trained again, and one in the middle goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import AutoTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.batches import Stream
from autobert_hf.lab.data.corpus import row_tables
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe, default_precision, fastest_attention
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.variants import ablations
from autobert_hf.records.json_files import write_json
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.baselines.equal_bert import with_parameters
from autobert_hf.searchers.curve import Curve
from autobert_hf.searchers.run import Run


def networks(found: AutoBertConfig) -> dict[str, AutoBertConfig]:
    """Four layers each; `published` is the bottom of the published network, where no kernel is cut short."""
    plain = found.to_dict() | {"per_layer_config": {}, "layer_types": ["full_attention"] * 4}
    zoo = AutoBertConfig.from_zoo("autobert-zero-base")
    formulas = {i: {"attention_formula": zoo.per_layer_config[i].attention_formula} for i in (1, 3)}
    pattern = {0: {"conv_kernel_size": 65}, 2: {"conv_kernel_size": 9}} | formulas
    types = ["conv", "full_attention"] * 2
    published = AutoBertConfig.from_dict(plain | {"layer_types": types, "per_layer_config": pattern})
    ablated = ablations(published)
    kernels = sorted(layer.conv_kernel_size for kind, layer in found.layers() if kind == "conv")
    return {
        "found": found,
        "convolutions of 3": convolutions(plain, [3] * 4),
        "found kernels, ascending": convolutions(plain, kernels),
        "found kernels, descending": convolutions(plain, kernels[::-1]),
        "published, layers 1 to 4": published,
        "published, attention only": ablated["attention-only"],
        "published, convolution only": ablated["convolution-only"],
        "alternating, standard attention": AutoBertConfig.from_dict(
            plain | {"layer_types": types, "conv_kernel_size": 9}
        ),
        "BERT": AutoBertConfig.from_dict(plain),
        "no mixing": AutoBertConfig.from_dict(
            plain | {"per_layer_config": dict.fromkeys(range(4), {"skip": ["mixer"]})}
        ),
    }


def convolutions(plain: dict[str, Any], kernels: list[int]) -> AutoBertConfig:
    layers = {i: {"conv_kernel_size": kernel} for i, kernel in enumerate(kernels)}
    return AutoBertConfig.from_dict(
        plain | {"num_hidden_layers": len(kernels), "layer_types": ["conv"] * len(kernels), "per_layer_config": layers}
    )


def train(
    run: Run, name: str, model: AutoBertForMaskedLM, batches: MaskedBatches, held_out: HeldOut, tokens: int
) -> Curve:
    recipe = Recipe(tokens // batches.tokens_per_batch, 1e-3, decay=0.3, shards=2)
    trainer = Trainer(model, held_out.loss, lambda step, shard: [model], recipe, run.team)
    return run.train(name, trainer, Stream(batches, ("final",)), score=lambda: held_out(model.eval()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="A finished search: its text and its model.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", help="Some of the networks. Without: all.")
    parser.add_argument("--tokens", type=int, default=3_000_000)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/networks.json"))
    given = parser.parse_args()
    found = AutoBertConfig.from_pretrained(given.run / "model")
    tokenizer = AutoTokenizer.from_pretrained(given.run / "text" / "tokenizer")
    tables = {side: row_tables(given.run / "text", side) for side in ("train", "held_out")}
    rows = {side: RowFiles(table, tokenizer.pad_token_id) for side, table in tables.items()}
    team = Team(Accelerator(cpu=True, mixed_precision=default_precision(use_cpu=True)))
    asked = MaskedBatches(rows["held_out"], tokenizer, 32, derive(0, "held-out")).held_out(256)
    held_out = HeldOut(MaskedWords(found), asked, team)
    results = json.loads(given.output.read_text()) if given.output.exists() else {}
    for seed in given.seeds:
        for name, config in networks(found).items():
            if f"{name}, seed {seed}" in results or name not in (given.only or [name]):
                continue
            config = with_parameters(config, count_parameters(found, "masked_lm"))
            config._attn_implementation = fastest_attention(team.accelerator)
            torch.manual_seed(derive(seed, "initialise"))
            model = AutoBertForMaskedLM(config)
            batches = MaskedBatches(rows["train"], tokenizer, 32, derive(seed, "batches"))
            weights = f"networks/{given.output.stem}/{name}-{seed}"
            curve = train(Run(given.run, seed, team), weights, model, batches, held_out, given.tokens)
            save_model(model, tokenizer, given.run / weights)
            parameters = count_parameters(config, "masked_lm")
            results[f"{name}, seed {seed}"] = {"parameters": parameters, "curve": curve}
            write_json(given.output, results)
            (given.run / f"{weights}.safetensors").unlink()
    for name, result in results.items():
        print(name, result["parameters"], [f"{tokens / 1e6:.1f} M: {loss:.3f}" for tokens, loss in result["curve"]])


if __name__ == "__main__":
    main()
