"""What is timed: one forward pass of an encoder, of a given size, in torch or in onnxruntime."""

import copy
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from autobert_hf.lab.measuring.paired_times import Call, Clock, clocks


DTYPES = {"no": "float32", "bf16": "bfloat16", "int8": "int8"}
# Precisions of each runtime. Int8 is dynamic: weights of matrix products, activations scaled at run time.
PRECISIONS = {"eager": ("no", "bf16"), "onnxruntime": ("no", "int8")}


class LatencyError(ValueError):
    """A model or workload cannot be timed as requested."""


@dataclass(frozen=True)
class Workload:
    """`batch` rows of `length` tokens without padding; `device` is torch's name (`cpu`, `cuda`)."""

    batch: int = 1
    length: int = 128
    threads: int = 1
    runtime: str = "eager"
    precision: str = "no"
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("batch", "length", "threads"):
            if getattr(self, name) < 1:
                raise LatencyError(f"{name} is {getattr(self, name)}: give at least 1.")
        if self.runtime not in PRECISIONS:
            raise LatencyError(f"There is no runtime {self.runtime!r}: give one of {', '.join(PRECISIONS)}.")
        if self.precision not in PRECISIONS[self.runtime]:
            known = ", ".join(PRECISIONS[self.runtime])
            raise LatencyError(f"{self.runtime} takes precision {known}, not {self.precision!r}.")
        if self.device != "cpu" and (self.runtime != "eager" or not torch.cuda.is_available()):
            raise LatencyError(f"Device {self.device!r} needs a GPU that torch sees, and the runtime eager.")

    @property
    def dtype(self) -> str:
        return DTYPES[self.precision]

    @property
    def clock(self) -> Clock:
        """Processor time with one thread, wall time with several, events on a GPU."""
        if self.device != "cpu":
            return cuda_clocks
        return clocks if self.threads == 1 else wall_clocks

    def inputs(self, vocab_size: int) -> dict[str, torch.Tensor]:
        """Random token ids and an attention mask without padding, both (batch, length)."""
        words = torch.randint(vocab_size, (self.batch, self.length), generator=torch.Generator().manual_seed(0))
        return {"input_ids": words.to(self.device), "attention_mask": torch.ones_like(words, device=self.device)}


def wall_clocks(call: Call) -> tuple[float, float]:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start,) * 2


def cuda_clocks(call: Call) -> tuple[float, float]:
    """(seconds between two events, wall seconds) of one call on an otherwise idle GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    wall = time.perf_counter()
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000, time.perf_counter() - wall


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forward(name: str, model: PreTrainedModel, workload: Workload) -> Call:
    """
    A call that runs a copy of the model once.

    Raises:
        LatencyError: if the model does not accept the input, or onnxruntime is missing or lacks an operation.
    """
    call = _eager(model, workload)
    try:
        call()
    except (IndexError, RuntimeError, ValueError) as error:
        raise LatencyError(
            f"{name} cannot be run on {workload.batch} x {workload.length} tokens alone ({error}): give a smaller "
            "--length, or an encoder; in a search, a smaller --latency-length."
        ) from error
    return call if workload.runtime == "eager" else _onnxruntime(name, model, workload)


def _eager(model: PreTrainedModel, workload: Workload) -> Call:
    dtype = torch.bfloat16 if workload.precision == "bf16" else torch.float32
    model = copy.deepcopy(model).eval().to(workload.device, dtype)
    inputs = workload.inputs(model.config.vocab_size)

    def call() -> None:
        with torch.inference_mode():
            model(**inputs)

    return call


def _onnxruntime(name: str, model: PreTrainedModel, workload: Workload) -> Call:
    """Exported for this exact shape, which onnxruntime runs fastest, with `threads` threads."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (the exporter needs it)
        from onnxruntime.quantization import quantize_dynamic
        from transformers.exporters import OnnxExporter  # noqa: F401 (fails on torch before 2.11)
    except ImportError as error:
        raise LatencyError(
            f"onnxruntime cannot be used ({error}): pip install 'autobert-hf[onnx]', which needs torch 2.11."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = workload.threads, 1
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(name, model, workload, Path(folder))
        if workload.precision == "int8":
            whole, path = path, path.with_name("int8.onnx")
            quantize_dynamic(whole, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {key: tensor.numpy() for key, tensor in workload.inputs(model.config.vocab_size).items()}
    given = {needed.name: inputs[needed.name] for needed in session.get_inputs()}
    return lambda: session.run(None, given)


def export_onnx(name: str, model: PreTrainedModel, workload: Workload, folder: Path) -> Path:
    from transformers.exporters import OnnxConfig, OnnxExporter

    sample: dict[str, Any] = workload.inputs(model.config.vocab_size)
    try:
        with redirect_stdout(sys.stderr):  # the exporter prints its progress
            OnnxExporter().export(copy.deepcopy(model).eval(), sample, OnnxConfig()).save_pretrained(folder)
    except Exception as error:  # torch, onnxscript and model code raise many types
        raise LatencyError(f"{name} cannot be exported to ONNX ({error}): measure it with --runtime eager.") from error
    return folder / "model.onnx"
