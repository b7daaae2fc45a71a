"""
A small search of each method on a GPU: seconds, memory of the card and precision.

    python benchmarks/gpu_searches.py --output benchmarks/results/searches-gpu.json
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import autobert_hf
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.modeling.machine import machine_name
from autobert_hf.records.json_files import read_record, write_json


COMMON = {"num_trials": 8, "batch_size": 32, "held_out_rows": 64, "final_tokens": 400_000}
METHODS: dict[str, dict[str, Any]] = {
    "autobert-zero": {"population": 4, "parents": 2, "children": 1, "warmup_steps": 50, "candidate_steps": 10},
    "autotinybert": {
        "population": 4,
        "supernet_steps": 100,
        "latency_samples": 6,
        "max_latency": "3",
        "latency_error": 1.0,
    },
}
TINY = {"length": 16, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
TINY |= {"batch_size": 8, "held_out_rows": 16, "final_tokens": 512, "warmup_steps": 3, "supernet_steps": 3}


def searched(method: str, folder: Path, cpu: bool) -> dict[str, Any]:
    text = folder / "text.txt"
    text.write_text("\n\n".join(corpus(2000 if not cpu else 60, seed=0)))
    own = METHODS[method]
    settings: dict[str, Any] = COMMON | own | {"train_file": str(text), "cpu": cpu}
    if cpu:
        settings |= {name: value for name, value in TINY.items() if not name.endswith("_steps") or name in own}
    start = time.perf_counter()
    study = autobert_hf.search(method, output_dir=str(folder / method), **settings)
    return {
        "seconds": time.perf_counter() - start,
        "trials": len(study.trials),
        "failed": sum(not trial.ok for trial in study.trials),
        "best": study.best.scores["loss"],
        "precision": read_record(folder / method / "run.json")["settings"]["mixed_precision"],
        "memory": torch.cuda.max_memory_allocated() if not cpu else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/searches-gpu.json"))
    parser.add_argument("--cpu", action="store_true", help="Tiny searches on a CPU, to try the script.")
    given = parser.parse_args()
    device = "cpu" if given.cpu else "cuda"
    results: dict[str, Any] = {"machine": machine_name(device), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as name:
        for method in METHODS:
            results[method] = searched(method, Path(name), given.cpu)
            print(method, results[method], flush=True)
    write_json(given.output, results)


if __name__ == "__main__":
    main()
