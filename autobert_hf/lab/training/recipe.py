"""How a training goes: length, rates, shards; and what the machine makes of precision and attention."""

from dataclasses import dataclass
from typing import Literal

import torch
from accelerate import Accelerator


@dataclass(frozen=True)
class Recipe:
    """
    AdamW with linear warm-up, then constant; over the last `decay` share of the steps the rate falls linearly to 0.

    Every batch is cut into `shards`, whatever the number of processes, so that any number of them trains the same
    network; of several networks in a step the loss is their mean or, as in AutoDistil's Algorithm 1, their sum.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup: float = 0.05
    decay: float = 0.0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    shards: int = 1
    over_networks: Literal["mean", "sum"] = "mean"

    def rate(self, step: int) -> float:
        warm = (step + 1) / max(self.warmup * self.steps, 1)
        left = (self.steps - step) / max(self.decay * self.steps, 1)
        return self.learning_rate * min(warm, left, 1.0)


def default_precision(use_cpu: bool) -> Literal["no", "bf16"]:
    """bf16 where the processor multiplies in it, else fp32 (`no`, as Accelerate says)."""
    if not use_cpu and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    capable = torch.cpu.get_capabilities()
    return "bf16" if capable.get("avx512_bf16") or capable.get("amx_bf16") else "no"


def fastest_attention(accelerator: Accelerator) -> str:
    """On CPU in bf16 the plain product beats the fused kernel, which works in many small products."""
    plain = accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"
    return "eager" if plain else "sdpa"
