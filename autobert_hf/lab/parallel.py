"""Several processes as one: means of gradients that are exact whatever sub-network each process has trained."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn


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
    used = [p for p, count in zip(parameters, accelerator.reduce(has, "sum").tolist(), strict=True) if count]
    flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in used])
    flat = accelerator.reduce(flat, "sum")
    for parameter, part in zip(used, flat.split([p.numel() for p in used]), strict=True):
        parameter.grad = part.view_as(parameter).clone()


def gather_in_order(mine: Sequence[Any], accelerator: Accelerator) -> list[Any]:
    """Everybody's objects, process by process."""
    return gather_object(list(mine)) if accelerator.num_processes > 1 else list(mine)
