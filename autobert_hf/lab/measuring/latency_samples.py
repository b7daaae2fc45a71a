"""Latency samples for a predictor, kept on disk: each network is measured once per machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.measuring.latency import measure_latency
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.machine import machine_name
from autobert_hf.modeling.modeling_autobert import AutoBertModel
from autobert_hf.records.journal import Journal


# Fields of a configuration that do not affect the network's shape.
NO_SHAPE = (
    "_name_or_path",
    "architectures",
    "auto_map",
    "dtype",
    "transformers_version",
    "_attn_implementation",
    "add_pooling_layer",  # all are measured without pooler
)


def measure_samples(
    configs: Sequence[AutoBertConfig],
    reference: PreTrainedModel,
    path: Path,
    workload: Workload | None = None,
    rounds: int = 6,
    error: float = 0.03,
) -> list[float]:
    """
    Time of each network (random weights) over that of the reference, in the order of `configs`. Every measurement
    is appended to the journal at `path` before the next begins. Measurements in the journal are reused if machine,
    torch, reference and workload are the same.

    On a noisy machine, networks after the first that was measured less exactly than `error` are allowed its error too:
    to measure each of them for as long would take hours.

    Raises:
        LatencyError: as `measure_latency`; earlier measurements are kept.
    """
    workload = workload or Workload()
    where = conditions(reference.config, workload)
    journal = Journal(path)
    known = _known(journal, where)
    for config in configs:
        key = shape_key(config)
        if key not in known:
            network = {"network": untrained(config)}
            found = measure_latency(network, reference, workload, None, rounds, error, go_on=True)["network"]
            error = max(error, found.error)
            record = {"network": key, "config": shape(config), "conditions": where, "measured": found.to_dict()}
            known[key] = record | {"ratio": found.median}
            journal.append(known[key])
    return [known[shape_key(config)]["ratio"] for config in configs]


def _known(journal: Journal, where: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The records of measurements that are comparable, by the network."""
    return {record["network"]: record for record in journal.records if record["conditions"] == where}


def largest_error(
    configs: Sequence[AutoBertConfig], reference: PreTrainedModel, path: Path, workload: Workload
) -> float:
    """The largest standard error among these networks, relative to the time, as `measure_samples` has left them."""
    known = _known(Journal(path), conditions(reference.config, workload))
    return max(known[shape_key(config)]["measured"]["error"] for config in configs)


def untrained(config: AutoBertConfig) -> AutoBertModel:
    """A network with random weights, the same for every measurement; global random state is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoBertModel(config, add_pooling_layer=False)


def conditions(reference: PreTrainedConfig, workload: Workload) -> dict[str, Any]:
    """The conditions under which measurements are comparable."""
    return {
        "machine": machine_name(workload.device),
        "torch": torch.__version__,
        "reference": shape_key(reference),
        "workload": asdict(workload),
    }


def shape(config: PreTrainedConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_diff_dict().items() if name not in NO_SHAPE}


def shape_key(config: PreTrainedConfig) -> str:
    text = json.dumps(shape(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
