"""
Latency: how well one number repeats, and how well predictors know networks that they have not seen.

    python benchmarks/latency.py --work-dir runs/latency --output benchmarks/results/latency.json

Random networks of AutoTinyBERT's shapes against a BERT of MiniLM's size (6 layers of 384, 12 heads, 1536), one row of
128 tokens, one thread. Measured values stay in --work-dir: the same command goes on from there.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any

import torch
from transformers import BertConfig, BertModel

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring.latency import measure_latency
from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import Fit, LinearPredictor, held_out
from autobert_hf.lab.measuring.latency_samples import measure_samples, untrained
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.configuration_autobert import PER_LAYER_FIELDS
from autobert_hf.modeling.machine import machine_name
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_json
from autobert_hf.records.seeds import derive


MINILM = {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}


def reference() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(**MINILM), add_pooling_layer=False)


def networks(number: int) -> list[AutoBertConfig]:
    """Both head rules in turn: whole heads of 32, or 12 heads of any size."""
    rng = Random(derive(0, "latency networks"))
    found = []
    for index in range(number):
        heads, dim = (rng.randint(1, 12), 32) if index % 2 else (12, rng.randint(8, 32))
        sizes = {"num_attention_heads": heads, "head_dim": dim, "num_hidden_layers": rng.randint(1, 6)}
        sizes |= {"hidden_size": rng.randrange(128, 385, 16), "intermediate_size": rng.randrange(128, 1537, 32)}
        found.append(AutoBertConfig(**sizes))
    return found


def repeatability(path: Path, workload: Workload, times: int) -> dict[str, list[dict[str, Any]]]:
    """Three networks, measured by the defaults of `autobert measure` `times` times over."""
    models = {f"network {index}": untrained(config) for index, config in enumerate(networks(3))}
    journal = Journal(path)
    for number in range(len(journal.records), times):
        found = measure_latency(models, reference(), workload)
        journal.append({"measurement": number, **{name: ratio.to_dict() for name, ratio in found.items()}})
    return {name: [record[name] for record in journal.records] for name in models}


def predictors(dtype: str) -> dict[str, Fit]:
    """
    The papers' network in HAT's width (AutoTinyBERT's 2000 take an hour here), by the papers' recipe and at a higher
    rate; in one dtype, which is enough to compare predictors.
    """
    hat = partial(NetworkPredictor.fit, hidden=400)
    papers = {"HAT's network": hat, "HAT's network, rate 1e-3, 500 steps": partial(hat, learning_rate=1e-3, steps=500)}
    return {"linear, 9 physical features": LinearPredictor.fit} | (papers if dtype == "float32" else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, required=True, help="Measured values; the same command goes on.")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--precisions", nargs="+", default=["no", "bf16"])
    parser.add_argument("--times", type=int, default=5, help="Measurements of the same networks.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/latency.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": machine_name(), "torch": torch.__version__}
    results["load average"] = os.getloadavg()[0]
    for precision in given.precisions:
        workload = Workload(precision=precision)
        configs = networks(given.networks)
        ratios = measure_samples(
            configs, reference(), given.work_dir / f"samples-{precision}.jsonl", workload, error=0.05
        )
        repeated = repeatability(given.work_dir / f"repeated-{precision}.jsonl", workload, given.times)
        for name, found in repeated.items():
            values = [ratio["median"] for ratio in found]
            print(
                f"{workload.dtype}, {name}: {mean(values):.4f}, spread {stdev(values) / mean(values):.1%}", flush=True
            )
        measured = [shape(config) | {"ratio": ratio} for config, ratio in zip(configs, ratios, strict=True)]
        results[workload.dtype] = {"networks": measured, "repeated": repeated, "predictors": {}}
    for precision in given.precisions[::-1]:  # the slow fits last
        result = results[Workload(precision=precision).dtype]
        ratios = [network["ratio"] for network in result["networks"]]
        for name, fit in predictors(Workload(precision=precision).dtype).items():
            found = held_out(fit, networks(given.networks), ratios)
            print(f"{precision}, {name}: {found}", flush=True)
            result["predictors"][name] = {"error": found.error, "tau": found.tau, "predicted": found.predicted}
            write_json(given.output, results)


def shape(config: AutoBertConfig) -> dict[str, int]:
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "head_dim", "intermediate_size")
    layer = config.per_layer_config[0]
    return {name: getattr(layer, name) if name in PER_LAYER_FIELDS else getattr(config, name) for name in names}


if __name__ == "__main__":
    main()
