"""Measures finished models against the reference, to check predictions and limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.latency import latency_row, measure_latency
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.machine import machine_name
from autobert_hf.records.json_files import write_record
from autobert_hf.records.run_folder import read_report


def measured_rows(
    path: Path,
    models: Mapping[str, PreTrainedModel],
    predicted: Mapping[str, float | None],
    reference: PreTrainedModel,
    reference_name: str,
    workload: Workload,
    error: float = 0.02,
    rounds: int = 12,
    **more: Any,
) -> dict[str, dict[str, Any]]:
    """
    A row for each model, all measured together and added to the file `path` (as `report/latency.json`). Existing rows
    from the same machine with the same `more` are reused.
    """
    rows, here = read_report(path), more | {"machine": machine_name(workload.device)}
    old = {name: rows[name] for name in models if name in rows and here.items() <= rows[name].items()}
    new = {name: model for name, model in models.items() if name not in old}
    if new:
        # A row records the error, and `busy`.
        ratios = measure_latency(new, reference, workload, None, rounds, error, go_on=True)
        for name, ratio in ratios.items():
            old[name] = latency_row(ratio, reference_name, workload, predicted.get(name), **more)
        write_record(path, rows | old)
    return old


def verdict(row: Mapping[str, Any], limit: float) -> str | None:
    """A message if a measured time exceeds the limit by more than twice its standard error, else None."""
    error = 2 * row["error"] * row["ratio"]
    if row["ratio"] - error <= limit:
        return None
    return (
        f"Measured, it takes {row['ratio']:.3f} +- {error:.3f} of the time of {row['reference']}: over the limit of "
        f"{limit}"
    )
