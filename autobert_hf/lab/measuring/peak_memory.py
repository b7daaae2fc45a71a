"""Peak memory of a forward pass: from torch's profiler in this process, or as the size of a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from torch.profiler import ProfilerActivity, profile
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.measuring.workload import LatencyError, Workload, forward, torch_threads


MEGABYTE = 1e6
SECONDS = 600  # that all networks of one call may take


def profiled_memory(model: PreTrainedModel, workload: Workload) -> float:
    """
    Megabytes of the weights and, at its peak, of all that a forward pass allocates, as torch's profiler reports it.

    Raises:
        LatencyError: if the model cannot run this workload, or this torch reports no memory.
    """
    with torch_threads(workload.threads):
        call = forward("the network", model, workload)
        with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            call()
    events = found.profiler.kineto_results.events() if found.profiler else []
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    if not changes:
        raise LatencyError(
            "Peak memory cannot be measured here: torch's profiler reports no allocations on this machine. Leave "
            "memory out of the search with --no-memory."
        )
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    weights = {tensor.data_ptr(): tensor.nbytes for tensor in (*model.parameters(), *model.buffers())}
    return (peak + sum(weights.values())) / MEGABYTE


def process_memory(configs: Sequence[PreTrainedConfig], workload: Workload) -> list[float]:
    """
    Megabytes by which a process of its own grows, at its peak, when it builds the network (random weights, without
    head) and runs it. All processes come from one that has loaded the libraries and run a tiny network.

    Raises:
        LatencyError: if a process does not return.
    """
    asked = {"configs": [config.to_dict() for config in configs], "workload": asdict(workload)}
    command = [sys.executable, "-m", "autobert_hf.lab.measuring.memory_process"]
    limits = {"OMP_NUM_THREADS": str(workload.threads), "MKL_NUM_THREADS": str(workload.threads)}
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **limits}
    )
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        raise LatencyError(
            f"Peak memory cannot be measured here in a process of its own ({reason}): leave memory out of the search "
            "with --no-memory."
        )
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the profiler's library from writing a line to stderr at each start and end."""
    before = os.environ.get("KINETO_LOG_LEVEL")
    os.environ["KINETO_LOG_LEVEL"] = "99"
    try:
        yield
    finally:
        if before is None:
            del os.environ["KINETO_LOG_LEVEL"]
        else:
            os.environ["KINETO_LOG_LEVEL"] = before
