"""Latency of encoders relative to a reference, measured in alternation, with its spread."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.paired_times import Ratio, paired_ratios
from autobert_hf.lab.measuring.workload import Workload, forward, torch_threads
from autobert_hf.records.machine import machine_name


class NoiseError(ValueError):
    """The machine is too noisy for the requested error."""


def measure_latency(
    models: Mapping[str, PreTrainedModel],
    reference: PreTrainedModel,
    workload: Workload | None = None,
    reference_workload: Workload | None = None,
    rounds: int = 12,
    error: float = 0.02,
) -> dict[str, Ratio]:
    """
    Time of one forward pass of each model over that of the reference; with `reference_workload` the reference runs in
    another runtime or precision. Measured by processor time of this process with one thread, by wall time with
    several, by events on a GPU.

    Raises:
        LatencyError: if a model cannot run this workload.
        NoiseError: if the standard error of a ratio is above `error` after `PATIENCE` times the rounds.
    """
    workload = workload or Workload()
    with torch_threads(workload.threads):
        calls = {name: forward(name, model, workload) for name, model in models.items()}
        base = forward("the reference", reference, reference_workload or workload)
        found = paired_ratios(base, calls, rounds, error=error, clock=workload.clock)
    noisy = [f"{name} {ratio} +- {ratio.error:.1%}" for name, ratio in found.items() if not ratio.error <= error]
    if noisy:
        rounds = max(ratio.rounds for ratio in found.values())
        raise NoiseError(
            f"The machine is too noisy for an error of {error:.1%}: after {rounds} rounds there is {'; '.join(noisy)}."
            " End other work, or allow a larger error (`autobert measure --error`, `autobert search --latency-error`)."
        )
    return found


def latency_row(
    ratio: Ratio, reference: str, workload: Workload, predicted: float | None = None, **more: Any
) -> dict[str, Any]:
    """A measurement as a row of report/latency.json, where rows are keyed by the model's name."""
    data = ratio.to_dict()
    return {
        "ratio": data.pop("median"),
        **data,
        "reference": reference,
        "runtime": workload.runtime,
        "batch": workload.batch,
        "length": workload.length,
        "threads": workload.threads,
        "dtype": workload.dtype,
        "machine": machine_name(workload.device),
        "predicted": predicted,
        **more,
    }
