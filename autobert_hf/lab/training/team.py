"""Several processes as one: means of gradients that are exact whatever sub-network each process has trained."""

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn


def is_lost_process(error: RuntimeError) -> bool:
    """Whether an exchange failed because another process is gone; gloo has no exception of its own for that."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def warn_of_missing_processes() -> None:
    """`accelerate launch --cpu --num_processes 2` starts one process and says nothing; all it leaves is an address."""
    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        warnings.warn(
            "accelerate launch was asked for several processes and has started one: on a CPU it needs a configuration "
            "file with `distributed_type: MULTI_GPU` and `use_cpu: true`, such as examples/cpu2.yaml "
            "(`accelerate launch --config_file examples/cpu2.yaml ...`). This run goes on with one.",
            stacklevel=2,
        )


def sum_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """
    Each parameter's gradient becomes the sum over all processes. Where no process has one it stays None, so that the
    optimizer leaves the parameter alone, as a single process would. A wrapper like DDP cannot do this: it expects
    the same parameters on every process (and is silently wrong on the first step when they differ).
    """
    if accelerator.num_processes == 1:
        return
    parameters = list(parameters)
    has = torch.tensor([float(p.grad is not None) for p in parameters], device=accelerator.device)
    counts = accelerator.reduce(has, "sum").tolist()
    used = [p for p, count in zip(parameters, counts, strict=True) if count]
    flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in used])
    flat = accelerator.reduce(flat, "sum")
    for parameter, part in zip(used, flat.split([p.numel() for p in used]), strict=True):
        parameter.grad = part.view_as(parameter).clone()


def gather_in_order(mine: Sequence[Any], accelerator: Accelerator) -> list[Any]:
    """Everybody's objects, process by process."""
    return list(mine) if accelerator.num_processes == 1 else gather_object(list(mine))
