"""Cost of any encoder besides its latency: parameters, FLOPs and memory."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.modeling.modeling_autobert import AutoBertModel


def model_cost(model: PreTrainedModel, workload: Workload) -> dict[str, int]:
    """
    `parameters`, `flops` (two per multiply-add) and `memory`: bytes of the weights plus the peak of live tensors in a
    forward pass in torch, in fp32 on the CPU. Memory used inside operators is not counted.
    """
    model.eval()
    weights = {t.data_ptr(): t.nbytes for t in (*model.parameters(), *model.buffers())}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "flops": _flops(model, workload),
        "memory": sum(weights.values()) + _activations(model, workload),
    }


def _flops(model: PreTrainedModel, workload: Workload) -> int:
    if isinstance(model, AutoBertModel):  # from the configuration: the counter overlooks some operations
        return count_flops(model.config, workload.length, workload.batch)
    # Attention as plain products: the counter ignores fused CPU kernels.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**workload.inputs(model.config.vocab_size))
    return counter.get_total_flops()


def _activations(model: PreTrainedModel, workload: Workload) -> int:
    inputs = workload.inputs(model.config.vocab_size)
    with torch.no_grad(), LiveTensors() as live:
        model(**inputs)
    return live.peak


class LiveTensors(TorchDispatchMode):
    """Tracks the bytes of live tensors made by operations; `peak` is their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (torch's interface)
        before = {tensor.untyped_storage().data_ptr() for tensor in tree_leaves(args) if torch.is_tensor(tensor)}
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if torch.is_tensor(tensor) and (address := tensor.untyped_storage().data_ptr()) not in before:
                self._follow(tensor, address)
        self.peak = max(self.peak, sum(self.alive.values()))
        return made

    def _follow(self, tensor: torch.Tensor, address: int) -> None:
        storage = tensor.untyped_storage()
        if address not in self.alive:
            self.alive[address] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, address, None)
