"""
The process behind `process_memory`: reads configurations and a workload as JSON from stdin, and prints the peak memory
of each in megabytes. Every network is run in a fork, so that what one leaves behind does not count for the next.
"""

import json
import os
import resource
import sys

import torch

from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.configuration_autobert import AutoBertConfig


UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, or kilobytes


def peak() -> float:
    """Megabytes of this process at its peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6


def run(config: AutoBertConfig, workload: Workload) -> None:
    model = untrained(config).eval()
    with torch.inference_mode():
        model(**workload.inputs(config.vocab_size))


def grown(config: AutoBertConfig, workload: Workload) -> float:
    """Megabytes beyond those of a tiny network of the same kind, which loads what all networks need."""
    torch.set_num_threads(workload.threads)
    sizes = {"hidden_size": 8, "embedding_size": 8, "layer_width": 8, "num_attention_heads": 1, "head_dim": 8}
    tiny = config.to_dict() | sizes | {"intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 8}
    tiny |= {"per_layer_config": None, "layer_types": None, "pad_token_id": None}
    run(AutoBertConfig.from_dict(tiny), workload)
    before = peak()
    run(config, workload)
    return peak() - before


def in_fork(config: AutoBertConfig, workload: Workload) -> float:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(grown(config, workload)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not text:
        raise SystemExit("a network could not be run")
    return json.loads(text)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    work = Workload(**asked["workload"])
    found = [in_fork(AutoBertConfig.from_dict(config), work) for config in asked["configs"]]
    sys.stdout.write(json.dumps(found))
