"""Latency of encoders relative to a reference, measured in alternation, with its spread."""

import time
import warnings
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.paired_times import Ratio, paired_ratios
from autobert_hf.lab.measuring.workload import Workload, forward, torch_threads
from autobert_hf.modeling.machine import machine_name


LONGER = 5  # times as many rounds where the machine is noisy and the run is to go on: no fewer than there were


class NoiseError(ValueError):
    """The machine is too noisy for the requested error."""


def measure_latency(
    models: Mapping[str, PreTrainedModel],
    reference: PreTrainedModel,
    workload: Workload | None = None,
    reference_workload: Workload | None = None,
    rounds: int = 12,
    error: float = 0.02,
    go_on: bool = False,
) -> dict[str, Ratio]:
    """
    Time of one forward pass of each model over that of the reference; with `reference_workload` the reference runs in
    another runtime or precision. Measured by processor time of this process with one thread, by wall time with
    several, by events on a GPU. If the machine is too noisy and a run is to `go_on`, it measures `LONGER` and then
    returns what it has, with a warning: the error is in each ratio.

    Raises:
        LatencyError: if a model cannot run this workload.
        NoiseError: if the standard error of a ratio is above `error` after `PATIENCE` times the rounds.
    """
    workload = workload or Workload()
    with torch_threads(workload.threads):
        calls = {name: forward(name, model, workload) for name, model in models.items()}
        base = forward("the reference", reference, reference_workload or workload)
        began = time.monotonic()
        found = paired_ratios(base, calls, rounds, error=error, clock=workload.clock)
        noise, seconds = _noise(found, error), time.monotonic() - began
        if noise and go_on:
            _warn(f"{noise}, after {seconds:.0f} s. It is measured again, for {LONGER * seconds:.0f} s at most.")
            found = paired_ratios(base, calls, LONGER * rounds, error=error, clock=workload.clock)
            if noise := _noise(found, error):
                seconds = time.monotonic() - began
                _warn(f"{noise}, after {seconds:.0f} s. The run goes on with these larger errors and records them.")
    if noise and not go_on:
        raise NoiseError(
            f"{noise}. End other work, or allow a larger error (`autobert measure --error`, `autobert search "
            "--latency-error`)."
        )
    return found


def _noise(found: Mapping[str, Ratio], error: float) -> str:
    """What is measured less exactly than asked for; nothing if all is well."""
    noisy = [f"{name} {ratio} +- {ratio.error:.1%}" for name, ratio in found.items() if not ratio.error <= error]
    rounds = max(ratio.rounds for ratio in found.values())
    if not noisy:
        return ""
    return f"The machine is too noisy for an error of {error:.1%}: after {rounds} rounds there is {'; '.join(noisy)}"


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)


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
