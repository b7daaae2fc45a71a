"""The recipe of a training (length, learning rate, shards), and the machine's defaults for precision and attention."""

from dataclasses import dataclass
from typing import Literal

import torch
from accelerate import Accelerator


@dataclass(frozen=True)
class Recipe:
    """
    AdamW with linear warm-up, then constant; over the last `decay` share of the steps the rate falls linearly to 0.

    Every batch is cut into `shards`, independent of the number of processes, so that any number of processes trains
    the same network. The losses of several networks in a step are averaged or, as in AutoDistil's Algorithm 1, summed.
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
    """bf16 if the hardware multiplies in it, else fp32 (`no`, in Accelerate's terms)."""
    if not use_cpu and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    capable = torch.cpu.get_capabilities()
    return "bf16" if capable.get("avx512_bf16") or capable.get("amx_bf16") else "no"


def fastest_attention(accelerator: Accelerator) -> str:
    """`eager` on a CPU in bf16, where plain products beat the fused kernel with its many small ones; else `sdpa`."""
    plain = accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"
    return "eager" if plain else "sdpa"
