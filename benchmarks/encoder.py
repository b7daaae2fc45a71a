"""
Our network against transformers' BERT with the same configuration, and AutoBERT-Zero base against BERT-base.

    python benchmarks/encoder.py --output benchmarks/results/encoder.json
    python benchmarks/encoder.py --device cuda --sizes base --output benchmarks/results/encoder-gpu.json
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.measuring.paired_times import Clock, clocks, paired_ratios
from autobert_hf.lab.measuring.workload import cuda_clocks
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.modeling.machine import machine_name


SIZES = {
    "4x256": {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
}
SIZES |= {"tiny": {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}}
SHAPES = ((1, 16), (1, 128), (8, 128), (32, 128))
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def forward(model: torch.nn.Module, shape: tuple[int, int], dtype: torch.dtype, device: str) -> Callable[[], object]:
    model = model.to(device, dtype).eval()
    ids = torch.randint(1, 30000, shape, device=device)

    def call() -> None:
        with torch.inference_mode():
            model(ids)

    return call


def clock_of(device: str) -> Clock:
    """Processor time, or on a GPU the time between two events."""
    return cuda_clocks if device == "cuda" else clocks


def training_step(model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def call() -> None:
        model(ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


def against_bert(sizes: list[str], rounds: int, device: str) -> dict[str, object]:
    results = {}
    for size in sizes:
        for dtype in (torch.float32, torch.bfloat16):
            for shape in SHAPES:
                few = device == "cpu" and size == "base" and shape[0] > 1
                bert = forward(BertModel(BertConfig(**SIZES[size])), shape, dtype, device)
                ours = forward(AutoBertModel(AutoBertConfig(**SIZES[size])), shape, dtype, device)
                ratio = paired_ratios(
                    bert,
                    {"ours": ours},
                    rounds=4 if few else rounds,
                    repeats=1 if few else 5,
                    clock=clock_of(device),
                )
                name = f"forward {size} {str(dtype)[6:]} {shape}"
                results[name] = ratio["ours"].to_dict()
                print(f"{name:40} {ratio['ours']}", flush=True)
    return results


def masked_only_step(size: str, rounds: int, device: str) -> dict[str, object]:
    """MLM training step, vocabulary 30,522, 15 percent labelled, fp32."""
    ids = torch.randint(1, 30000, (32, 128), device=device)
    labels = ids.masked_fill(torch.rand(ids.shape, device=device) > 0.15, -100)
    bert = BertForMaskedLM(BertConfig(**SIZES[size], **NO_DROPOUT)).to(device)
    ours = AutoBertForMaskedLM(AutoBertConfig(**SIZES[size], **NO_DROPOUT, sparse_prediction=True)).to(device)
    steps = {"ours": training_step(ours, ids, labels)}
    ratio = paired_ratios(training_step(bert, ids, labels), steps, rounds, 1, clock=clock_of(device))["ours"]
    print(f"MLM training step, masked only: {ratio}", flush=True)
    return {f"MLM step {size} float32 (32, 128) V=30522": ratio.to_dict()}


def autobert_zero(rounds: int, device: str) -> dict[str, object]:
    """Beside the paper's ratio of FLOPs, 2.3e10 / 2.9e10 = 0.79."""
    zero, bert = AutoBertConfig.from_zoo("autobert-zero-base"), AutoBertConfig.from_zoo("bert-base")
    results = {"FLOPs ratio": count_flops(zero) / count_flops(bert)}
    print(f"AutoBERT-Zero base, FLOPs over BERT-base: {results['FLOPs ratio']:.3f}")
    for dtype in (torch.float32, torch.bfloat16):
        theirs = forward(BertModel(BertConfig()), (1, 128), dtype, device)
        ours = {"zero": forward(AutoBertModel(zero), (1, 128), dtype, device)}
        ratio = paired_ratios(theirs, ours, rounds, 2, clock=clock_of(device))["zero"]
        results[f"time {str(dtype)[6:]} (1, 128)"] = ratio.to_dict()
        print(f"AutoBERT-Zero base over BERT-base, {dtype}: {ratio}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/encoder.json"))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--sizes", nargs="+", choices=[*SIZES], default=["4x256", "base"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device, sizes, fewer = arguments.device, arguments.sizes, max(arguments.rounds // 2, 4)
    results: dict[str, object] = {"threads": 1, "torch": torch.__version__, "machine": machine_name(device)}
    results |= against_bert(sizes, arguments.rounds, device)
    results |= masked_only_step(sizes[0], fewer, device)
    if "base" in sizes:
        results["autobert-zero-base over bert-base"] = autobert_zero(fewer, device)
    results["load average"] = os.getloadavg()[0]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
