"""Depthwise convolution over tokens with kernels shared inside groups of channels.

This is the convolution of the light-weight convolution layer (Wu et al., 2019, "Pay less attention with lightweight
and dynamic convolutions", section 3) and, with one kernel per channel, of a depthwise-separable one. What depends on
the layer stays outside: softmax over the taps, zeroing of padded tokens (the window would leak them), gating.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F
from transformers.utils.generic import maybe_autocast


BLOCK = 16  # tokens per row block of the Gram matrix; 32 costs about the same, a whole-sequence Gram T x T memory


def depthwise_conv(x: Tensor, taps: Tensor, *, causal: bool = False) -> Tensor:
    """Convolves each channel of `x` over tokens with the kernel of its group (cross-correlation, zeros outside).

    With ``left = kernel // 2`` (``kernel - 1`` when causal)
    ``out[b, t, c] = sum_j taps[c // (channels / groups), j] * x[b, t + j - left, c]``.

    Args:
        x: (batch, tokens, channels); tokens may be fewer than the kernel.
        taps: (groups, kernel), of any floating dtype: cast to that of `x`, its gradient comes back in its own. A group
            is `channels / groups` neighbouring channels; `groups == channels` is plain depthwise.
        causal: position t sees t and what precedes it. Otherwise the window is centred and the kernel must be odd.

    Returns:
        (batch, tokens, channels) in the dtype of `x`, under autocast too.

    Raises:
        ValueError: the groups do not divide the channels, or a centred kernel is even.

    Differentiable once: long kernels have a hand-written backward without a second derivative.
    """
    channels, (groups, kernel) = x.shape[2], taps.shape
    if channels % groups:
        raise ValueError(f"{groups} kernels cannot share {channels} channels evenly; use a divisor of {channels}.")
    if not causal and kernel % 2 == 0:
        raise ValueError(f"A centred kernel needs an odd number of taps, got {kernel}; use {kernel + 1}, or causal.")
    left = kernel - 1 if causal else kernel // 2
    if torch.is_grad_enabled() and _gram_pays(x, taps):
        return _GramConv.apply(x, taps, left)
    return _correlate(x, taps, left)


def _gram_pays(x: Tensor, taps: Tensor) -> bool:
    """Whether the Gram backward beats autograd's, measured on CPU for groups of one channel up to all of them.

    The Gram matrix costs nearly the same for every kernel, (BLOCK + kernel - 1) / kernel times the needed products and
    a copy of overlapping windows. The native weight gradient is slow in half precision, and in fp32 from 15 taps on.
    """
    return taps.shape[1] >= (7 if x.dtype.itemsize == 2 else 15)


def _correlate(x: Tensor, taps: Tensor, left: int) -> Tensor:
    # (batch, tokens, channels) seen as a (batch, channels, 1, tokens) image is channels-last as it lies: no copy, and
    # by far the fastest depthwise kernel of every formulation that we measured on CPU.
    kernel, channels = taps.shape[1], x.shape[2]
    dtype = torch.float32 if _onednn_may_hang(x, kernel) else x.dtype
    pad = left if 2 * left == kernel - 1 else 0
    padded = x.contiguous() if pad else F.pad(x, (0, 0, left, kernel - 1 - left))
    image = padded.to(dtype).transpose(1, 2).unsqueeze(2)
    weight = taps.to(dtype).repeat_interleave(channels // taps.shape[0], dim=0)[:, None, None]
    with maybe_autocast(x.device.type, enabled=False):  # it would undo the choice of dtype
        out = F.conv2d(image, weight, padding=(0, pad), groups=channels)
    return out.squeeze(2).transpose(1, 2).to(x.dtype)


def _onednn_may_hang(x: Tensor, kernel: int) -> bool:
    """Whether the channels-last convolution could loop for ever in half precision on CPU; fp32 never does.

    oneDNN 3.12 (torch 2.13, CPUs with AVX512-BF16 or AVX512-FP16) never ends generating the code of a depthwise kernel
    for 15 taps or more and a single block of 16 channels: `brdgmm_blocking` counts registers for grouped taps, then
    drops the grouping and leaves none for the weights. It cuts such a block from few channels, or from any number of
    them when the threads do not divide the batch. A compiled graph may meet any number of threads.
    """
    if x.device.type != "cpu" or x.dtype.itemsize != 2 or kernel < 15:
        return False
    return x.shape[2] <= 16 or torch.compiler.is_compiling() or x.shape[0] % torch.get_num_threads() != 0


class _Context(FunctionCtx):
    left: int
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, bool, bool]


class _GramConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, x: Tensor, taps: Tensor, left: int) -> Tensor:
        ctx.save_for_backward(x, taps)
        ctx.left = left
        return _correlate(x, taps, left)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, taps), (needs_x, needs_taps, _) = ctx.saved_tensors, ctx.needs_input_grad
        grad_x = _correlate(grad, taps.flip(1), taps.shape[1] - 1 - ctx.left) if needs_x else None
        grad_taps = _taps_gradient(x, grad, taps, ctx.left) if needs_taps else None
        return grad_x, grad_taps, None


def _taps_gradient(x: Tensor, grad: Tensor, taps: Tensor, left: int) -> Tensor:
    """grad_taps[g, j] = sum over b, t and c in g of grad[b, t, c] * x[b, t + j - left, c].

    Cut into blocks of tokens, this is one matrix product per group: rows of a block times the window that the block
    sees, summed over batch, blocks and channels. Tap j is then the j-th diagonal of the (BLOCK, window) Gram matrix.
    """
    (batch, tokens, channels), (groups, kernel) = x.shape, taps.shape
    window, blocks = BLOCK + kernel - 1, -(-tokens // BLOCK)
    fill = blocks * BLOCK - tokens
    rows = F.pad(grad, (0, 0, 0, fill)).view(batch, blocks, BLOCK, groups, channels // groups)
    rows = rows.permute(3, 2, 0, 1, 4).reshape(groups, BLOCK, -1)
    windows = F.pad(x, (0, 0, left, fill + kernel - 1 - left)).unfold(1, window, BLOCK)
    windows = windows.unflatten(2, (groups, -1)).permute(2, 0, 1, 3, 4).reshape(groups, -1, window)
    with maybe_autocast(x.device.type, enabled=False):  # backward may be called inside it
        gram = torch.bmm(rows, windows)  # bf16 products are summed in fp32 inside; the sum below keeps to fp32 as well
    diagonals = gram.as_strided((groups, BLOCK, kernel), (BLOCK * window, window + 1, 1))
    return diagonals.sum(1, dtype=torch.promote_types(x.dtype, torch.float32)).to(taps.dtype)
