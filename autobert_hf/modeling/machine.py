"""Which machine a measurement belongs to."""

import os
import platform
from pathlib import Path

import torch


def machine_name(device: str = "cpu") -> str:
    """Processor and number of cores, or the GPU, in readable form."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    cpuinfo = Path("/proc") / "cpuinfo"
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
