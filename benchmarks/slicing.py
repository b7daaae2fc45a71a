"""
Sub-networks on the weights of a large network against the same networks taken out of it, and how many of them can be
judged in a second.

    python benchmarks/slicing.py --output benchmarks/results/slicing.json
"""

import argparse
import os
import random
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.measuring.paired_times import clocks, paired_ratios
from autobert_hf.modeling.slicing import Cut, LayerCut
from autobert_hf.modeling.subnetwork import Sliceable
from autobert_hf.records.json_files import write_json


SIZES = {
    "4x256": {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "MiniLM": {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536},
}
SHAPES = {"4x256": ((1, 128), (8, 128), (32, 128)), "MiniLM": ((1, 128), (8, 128))}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def network(size: str, vocab_size: int) -> Sliceable:
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = AutoBertForMaskedLM(
        AutoBertConfig(**SIZES[size], **dropout, vocab_size=vocab_size, sparse_prediction=True)
    )
    model.config._attn_implementation = "eager"
    return Sliceable(model)


def cuts(whole: Cut) -> dict[str, Cut]:
    """The same sizes by either head rule: three quarters of all widths, but for one layer all layers."""
    width, layers = whole.hidden_size * 3 // 4, whole.layers[:-1]
    heads, dim, inner = layers[0].num_attention_heads, layers[0].head_dim, layers[0].intermediate_size * 3 // 4
    rules = {"whole heads": (heads * 3 // 4, dim), "part of every head": (heads, dim * 3 // 4)}
    return {
        name: Cut(width, width, tuple(LayerCut(layer.source, *rule, inner) for layer in layers))
        for name, rule in rules.items()
    }


def random_cut(whole: Cut, rng: random.Random) -> Cut:
    """Any depth, and each width between a quarter and all."""
    width, layer = rng.randrange(whole.hidden_size // 4, whole.hidden_size + 1, 16), whole.layers[0]
    inner = rng.randrange(layer.intermediate_size // 4, layer.intermediate_size + 1, 32)
    heads, depth = rng.randint(1, layer.num_attention_heads), rng.randint(1, len(whole.layers))
    return Cut(width, width, tuple(LayerCut(source, heads, layer.head_dim, inner) for source in range(depth)))


def batch(shape: tuple[int, int], vocab_size: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, vocab_size, shape)
    return {"input_ids": ids, "labels": ids.masked_fill(torch.rand(shape) > 0.15, -100)}


def forward(network: Callable, rows: Mapping[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], float]:
    def call() -> float:
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return network(**rows).loss.item()

    return call


def training(
    build: Callable[[], Callable], owner: torch.nn.Module, rows: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> Callable[[], None]:
    def call() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = build()(**rows).loss
        loss.backward()
        owner.zero_grad(set_to_none=True)

    return call


def overhead(size: str, rounds: int, vocab_size: int) -> dict[str, object]:
    whole, results = network(size, vocab_size), {}
    for rule, cut in cuts(whole.cut).items():
        part, extracted = whole.part(cut), whole.extract(cut)
        extracted.config.sparse_prediction = True
        for (name, dtype), shape in ((item, shape) for item in DTYPES.items() for shape in SHAPES[size]):
            rows = batch(shape, vocab_size)
            whole.model.eval()
            calls = {"forward": forward(part, rows, dtype), "cut and forward": slicing(whole, cut, rows, dtype)}
            ratios = paired_ratios(forward(extracted, rows, dtype), calls, rounds, repeats=2)
            own = training(lambda model=extracted: model, extracted, rows, dtype)
            calls = {"training": training(lambda cut=cut: whole.part(cut), whole.model, rows, dtype)}
            for kind, ratio in (ratios | paired_ratios(own, calls, rounds, repeats=1)).items():
                results[f"{kind} {size} {rule} {name} {shape}"] = ratio.to_dict()
                print(f"{kind:16} {size:7} {rule:19} {name} {shape}: {ratio}", flush=True)
    return results


def slicing(whole: Sliceable, cut: Cut, rows: Mapping[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], float]:
    return lambda: forward(whole.part(cut), rows, dtype)()


def throughput(size: str, number: int, vocab_size: int) -> dict[str, object]:
    """Random sub-networks, each cut and run once on 32 x 128 tokens: processor seconds of one."""
    whole, rng, results = network(size, vocab_size), random.Random(0), {}
    whole.model.eval()
    chosen = [random_cut(whole.cut, rng) for _ in range(number)]
    rows = batch((32, 128), vocab_size)
    for name, dtype in DTYPES.items():
        seconds = [clocks(slicing(whole, cut, rows, dtype))[0] for cut in chosen[:3] + chosen][3:]
        low, _, high = statistics.quantiles(seconds, n=4)
        rate = number / sum(seconds)
        results[f"{size} {name}"] = {"per core-second": rate, "networks": number, "quartiles of seconds": [low, high]}
        print(f"{size} {name}: {rate:.2f} sub-networks a core-second", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/slicing.json"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = {"threads": 1, "torch": torch.__version__, "processor": torch.cpu.get_capabilities()["cpu_name"]}
    results["sub-networks"] = {}
    for size in SIZES:
        results["sub-networks"] |= throughput(size, arguments.networks, 8192)
    results["ratios"] = {}
    for size in SIZES:
        results["ratios"] |= overhead(size, arguments.rounds, 8192)
    write_json(arguments.output, results | {"load average": os.getloadavg()[0]})


if __name__ == "__main__":
    main()
