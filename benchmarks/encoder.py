"""
Our network against transformers' BERT with the same configuration, and AutoBERT-Zero base against BERT-base.

    python benchmarks/encoder.py --output benchmarks/results/encoder.json
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.measuring.paired_times import paired_ratios
from autobert_hf.modeling.arithmetic import count_flops


SIZES = {
    "4x256": {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
}
SHAPES = ((1, 16), (1, 128), (8, 128), (32, 128))
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def forward(model: torch.nn.Module, shape: tuple[int, int], dtype: torch.dtype) -> Callable[[], object]:
    model = model.to(dtype).eval()
    ids = torch.randint(1, 30000, shape)

    def call() -> None:
        with torch.inference_mode():
            model(ids)

    return call


def training_step(model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def call() -> None:
        model(ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


def against_bert(rounds: int) -> dict[str, object]:
    results = {}
    for size, settings in SIZES.items():
        for dtype in (torch.float32, torch.bfloat16):
            for shape in SHAPES:
                heavy = size == "base" and shape[0] > 1
                bert = forward(BertModel(BertConfig(**settings)), shape, dtype)
                ours = forward(AutoBertModel(AutoBertConfig(**settings)), shape, dtype)
                ratio = paired_ratios(bert, {"ours": ours}, rounds=4 if heavy else rounds, repeats=1 if heavy else 5)
                name = f"forward {size} {str(dtype)[6:]} {shape}"
                results[name] = ratio["ours"].to_dict()
                print(f"{name:40} {ratio['ours']}", flush=True)
    return results


def masked_only_step(rounds: int) -> dict[str, object]:
    """MLM training step, vocabulary 30,522, 15 percent labelled, 4x256, fp32."""
    ids = torch.randint(1, 30000, (32, 128))
    labels = ids.masked_fill(torch.rand(ids.shape) > 0.15, -100)
    bert = training_step(BertForMaskedLM(BertConfig(**SIZES["4x256"], **NO_DROPOUT)), ids, labels)
    config = AutoBertConfig(**SIZES["4x256"], **NO_DROPOUT, sparse_prediction=True)
    ratio = paired_ratios(bert, {"ours": training_step(AutoBertForMaskedLM(config), ids, labels)}, rounds, 1)["ours"]
    print(f"MLM training step, masked only: {ratio}", flush=True)
    return {"MLM step 4x256 float32 (32, 128) V=30522": ratio.to_dict()}


def autobert_zero(rounds: int) -> dict[str, object]:
    """Beside the paper's ratio of FLOPs, 2.3e10 / 2.9e10 = 0.79."""
    zero, bert = AutoBertConfig.from_zoo("autobert-zero-base"), AutoBertConfig.from_zoo("bert-base")
    results = {"FLOPs ratio": count_flops(zero) / count_flops(bert)}
    print(f"AutoBERT-Zero base, FLOPs over BERT-base: {results['FLOPs ratio']:.3f}")
    for dtype in (torch.float32, torch.bfloat16):
        theirs = forward(BertModel(BertConfig()), (1, 128), dtype)
        ratio = paired_ratios(theirs, {"zero": forward(AutoBertModel(zero), (1, 128), dtype)}, rounds, 2)["zero"]
        results[f"time {str(dtype)[6:]} (1, 128)"] = ratio.to_dict()
        print(f"AutoBERT-Zero base over BERT-base, {dtype}: {ratio}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/encoder.json"))
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = {"threads": 1, "torch": torch.__version__, "processor": torch.cpu.get_capabilities()["cpu_name"]}
    results |= against_bert(arguments.rounds)
    results |= masked_only_step(max(arguments.rounds // 2, 4))
    results["autobert-zero-base over bert-base"] = autobert_zero(max(arguments.rounds // 2, 4))
    results["load average"] = os.getloadavg()[0]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
