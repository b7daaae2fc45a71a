"""Speed of our depthwise convolution against what PyTorch offers, as ratios taken side by side.

Each round times both contestants once, in alternating order, by the CPU time of the process, so that other work on
the machine falls on both; what is reported is the median and the interquartile range of the ratios of the rounds.
Below 1 we are faster. Two comparisons, in fp32 and in bf16 (tensors as autocast would hand them over):

    training   forward and backward against native autograd through the same channels-last conv2d
    inference  forward against the usual depthwise conv1d on (batch, channels, tokens), transposes included

Run `python benchmarks/light_conv.py --output light_conv.json` on a quiet machine; a few minutes.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from autobert_hf.modeling.light_conv import depthwise_conv


KERNELS = (3, 7, 15, 31, 65)
SHAPES = ((8, 128, 256), (8, 512, 256))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def conv2d_channels_last(x: Tensor, taps: Tensor) -> Tensor:
    weight = taps.repeat_interleave(x.shape[2] // taps.shape[0], dim=0)[:, None, None]
    image = x.transpose(1, 2).unsqueeze(2)
    out = F.conv2d(image, weight, padding=(0, taps.shape[1] // 2), groups=x.shape[2])
    return out.squeeze(2).transpose(1, 2)


def conv1d(x: Tensor, taps: Tensor) -> Tensor:
    weight = taps.repeat_interleave(x.shape[2] // taps.shape[0], dim=0)[:, None]
    return F.conv1d(x.transpose(1, 2), weight, padding=taps.shape[1] // 2, groups=x.shape[2]).transpose(1, 2)


def training(convolution: Callable[[Tensor, Tensor], Tensor], x: Tensor, taps: Tensor, upstream: Tensor) -> None:
    torch.autograd.grad(convolution(x, taps), (x, taps), upstream)


@torch.no_grad()
def inference(convolution: Callable[[Tensor, Tensor], Tensor], x: Tensor, taps: Tensor, upstream: Tensor) -> None:
    convolution(x, taps)


COMPARISONS = {"training": (training, conv2d_channels_last), "inference": (inference, conv1d)}


def cpu_seconds(run: Callable[[], None], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def paired(ours: Callable[[], None], theirs: Callable[[], None], rounds: int, repeats: int) -> dict[str, float]:
    """Median seconds of both and the quartiles of ours / theirs over the rounds."""
    for run in (ours, theirs):
        run()
    pairs = []
    for index in range(rounds):
        order = (ours, theirs) if index % 2 == 0 else (theirs, ours)
        seconds = {run: cpu_seconds(run, repeats) for run in order}
        pairs.append((seconds[ours], seconds[theirs]))
    low, median, high = statistics.quantiles([a / b for a, b in pairs], n=4, method="inclusive")
    our_seconds, their_seconds = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"ratio": median, "q1": low, "q3": high, "our_seconds": our_seconds, "their_seconds": their_seconds}


def compare(
    comparison: str, shape: tuple[int, int, int], kernel: int, groups: int, dtype: str, rounds: int, repeats: int
) -> dict[str, object]:
    step, rival = COMPARISONS[comparison]
    generator = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(shape, generator=generator).to(DTYPES[dtype]) for _ in range(2))
    taps = torch.randn(groups, kernel, generator=generator).softmax(1).to(DTYPES[dtype])
    inputs = x.requires_grad_(), taps.requires_grad_(), upstream
    timed = paired(lambda: step(depthwise_conv, *inputs), lambda: step(rival, *inputs), rounds, repeats)
    case = {"comparison": comparison, "against": rival.__name__, "shape": shape, "kernel": kernel, "groups": groups}
    return {**case, "dtype": dtype, **timed}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--groups", type=int, default=16, help="kernels, shared by 256 / groups channels each")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=4, help="runs that one timing averages over")
    parser.add_argument("--kernels", type=int, nargs="+", default=KERNELS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    results = []
    for comparison in COMPARISONS:
        for dtype in DTYPES:
            for shape in SHAPES:
                for kernel in args.kernels:
                    row = compare(comparison, shape, kernel, args.groups, dtype, args.rounds, args.repeats)
                    results.append(row)
                    quartiles = f"{row['ratio']:.2f} [{row['q1']:.2f}-{row['q3']:.2f}]"
                    print(f"{comparison:9} {dtype} {shape!s:15} kernel {kernel:2}  {quartiles}", flush=True)
    machine = {"processor": torch.backends.cpu.get_cpu_capability(), "system": platform.machine(), "threads": 1}
    settings = {"rounds": args.rounds, "repeats": args.repeats, "clock": "process CPU time"}
    report = {"torch": torch.__version__, **machine, **settings, "results": results}
    args.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
