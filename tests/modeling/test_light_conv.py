"""Depthwise convolution with shared kernels: values and gradients against conv1d, on both backward paths."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from autobert_hf.modeling.light_conv import depthwise_conv


def reference(x: Tensor, taps: Tensor, causal: bool) -> Tensor:
    kernel = taps.shape[1]
    pads = (kernel - 1, 0) if causal else (kernel // 2, kernel // 2)
    weight = taps.repeat_interleave(x.shape[2] // taps.shape[0], dim=0)[:, None]
    return F.conv1d(F.pad(x.transpose(1, 2), pads), weight, groups=x.shape[2]).transpose(1, 2)


def draw_inputs(
    batch: int, tokens: int, width: int, groups: int, kernel: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch + 10 * tokens + 1000 * kernel + groups)
    x = torch.randn(batch, tokens, width * groups, generator=generator, dtype=dtype)
    taps = torch.randn(groups, kernel, generator=generator, dtype=dtype) / kernel**0.5
    return x.requires_grad_(), taps.requires_grad_()


def value_and_gradients(out: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    # cos gives every output another upstream gradient, so that a shifted or swapped one cannot pass.
    upstream = torch.arange(out.numel(), dtype=torch.float64).view(out.shape).cos().to(out.dtype)
    return out, *torch.autograd.grad(out, inputs, upstream)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * (1 + expected.abs().max())


def assert_same(x: Tensor, taps: Tensor, causal: bool) -> None:
    actual = value_and_gradients(depthwise_conv(x, taps, causal=causal), x, taps)
    expected = value_and_gradients(reference(x, taps, causal), x, taps)
    for got, wanted, tolerance in zip(actual, expected, (1e-6, 1e-5, 1e-5), strict=True):
        assert_near(got, wanted, tolerance)


def is_gram(out: Tensor) -> bool:
    return "GramConv" in type(out.grad_fn).__name__


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    tokens=st.integers(1, 50),
    width=st.sampled_from([1, 2, 3, 8]),
    groups=st.integers(1, 6),
    kernel=st.sampled_from([1, 3, 5, 7, 9, 15, 31, 65]),
    causal=st.booleans(),
)
def test_equals_conv1d(batch: int, tokens: int, width: int, groups: int, kernel: int, causal: bool) -> None:
    assert_same(*draw_inputs(batch, tokens, width, groups, kernel), causal=causal)


@pytest.mark.parametrize("kernel", [2, 8, 16])
def test_causal_kernels_may_be_even(kernel: int) -> None:
    assert_same(*draw_inputs(2, 21, 8, 3, kernel), causal=True)


@pytest.mark.parametrize(("tokens", "kernel"), [(1, 65), (3, 65), (16, 15), (17, 15), (129, 65)])
@pytest.mark.parametrize("causal", [False, True])
def test_short_sequences_and_block_edges(tokens: int, kernel: int, causal: bool) -> None:
    assert_same(*draw_inputs(2, tokens, 4, 2, kernel), causal=causal)


@pytest.mark.parametrize(("causal", "left"), [(False, 2), (True, 4)])
def test_equals_its_formula(causal: bool, left: int) -> None:
    x, taps = draw_inputs(1, 6, 3, 2, 5)
    out = depthwise_conv(x, taps, causal=causal)
    for t in range(6):
        for c in range(6):
            terms = [taps[c // 3, j] * x[0, t + j - left, c] for j in range(5) if 0 <= t + j - left < 6]
            assert out[0, t, c].item() == pytest.approx(sum(terms).item(), abs=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("groups", "width", "kernel"), [(2, 2, 3), (2, 2, 15), (1, 3, 17), (3, 1, 15)])
def test_gradcheck(groups: int, width: int, kernel: int, causal: bool) -> None:
    inputs = draw_inputs(2, 18, width, groups, kernel, torch.float64)
    assert is_gram(depthwise_conv(*inputs, causal=causal)) == (kernel >= 15)
    assert torch.autograd.gradcheck(lambda x, taps: depthwise_conv(x, taps, causal=causal), inputs)


@pytest.mark.parametrize(
    ("kernel", "width", "dtype", "gram"),
    [
        (5, 8, torch.bfloat16, False),
        (7, 8, torch.bfloat16, True),
        (9, 1, torch.bfloat16, True),
        (13, 8, torch.float32, False),
        (15, 8, torch.float32, True),
        (15, 1, torch.float32, True),
    ],
)
def test_own_backward_where_it_is_faster(kernel: int, width: int, dtype: torch.dtype, gram: bool) -> None:
    inputs = draw_inputs(1, 20, width, 2, kernel, dtype)
    assert is_gram(depthwise_conv(*inputs)) is gram
    with torch.no_grad():
        assert depthwise_conv(*inputs).grad_fn is None


def test_gram_backward_has_no_second_derivative() -> None:
    x, taps = draw_inputs(1, 20, 8, 1, 15)
    (grad,) = torch.autograd.grad(depthwise_conv(x, taps).pow(2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("kernel", [3, 15])
@pytest.mark.parametrize("layout", ["transposed", "every other channel", "expanded"])
def test_any_memory_layout(layout: str, kernel: int) -> None:
    x, taps = draw_inputs(3, 20, 4, 2, kernel)
    views = {
        "transposed": x.transpose(1, 2).contiguous().transpose(1, 2),
        "every other channel": x.repeat_interleave(2, dim=2)[:, :, ::2],
        "expanded": x[:1].expand(3, -1, -1),
    }
    view = views[layout].detach()
    assert not view.is_contiguous()
    assert_same(view.requires_grad_(), taps, causal=False)


@pytest.mark.parametrize("kernel", [3, 15])
@pytest.mark.parametrize("frozen", ["x", "taps"])
def test_frozen_inputs_get_no_gradient(frozen: str, kernel: int) -> None:
    inputs = dict(zip(("x", "taps"), draw_inputs(2, 20, 8, 2, kernel), strict=True))
    _, *grads = value_and_gradients(depthwise_conv(**inputs), *inputs.values())
    expected = dict(zip(inputs, grads, strict=True))
    inputs[frozen].requires_grad_(False)
    (trained,) = set(inputs) - {frozen}
    _, grad = value_and_gradients(depthwise_conv(**inputs), inputs[trained])
    assert_near(grad, expected[trained], 1e-6)
    depthwise_conv(**inputs).sum().backward()
    assert inputs[frozen].grad is None


@pytest.mark.parametrize("kernel", [3, 4, 15])
def test_causal_does_not_look_ahead(kernel: int) -> None:
    x, taps = draw_inputs(2, 24, 4, 2, kernel)
    changed = x.detach().clone()
    changed[:, 10:] += 5
    before, after = depthwise_conv(x, taps, causal=True), depthwise_conv(changed, taps, causal=True)
    assert torch.equal(before[:, :10], after[:, :10])
    assert (before[:, 10] - after[:, 10]).abs().min() > 0.01


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


# The last two shapes send oneDNN into an endless loop in compiled code when they reach it in bf16: few channels, and
# more threads than divide the batch. Only a watching thread can end that, and it ends the whole test run with it.
@pytest.mark.timeout(60, method="thread")
@pytest.mark.parametrize(
    ("batch", "tokens", "width", "kernel", "threads"),
    [(2, 40, 8, 3, 1), (2, 40, 8, 7, 1), (2, 40, 16, 31, 1), (2, 40, 8, 31, 1), (3, 64, 16, 15, 2)],
    indirect=["threads"],
)
@pytest.mark.parametrize("causal", [False, True])
def test_bf16(batch: int, tokens: int, width: int, kernel: int, threads: int, causal: bool) -> None:
    assert torch.get_num_threads() == threads
    x, taps = (t.detach().bfloat16() for t in draw_inputs(batch, tokens, width, 2, kernel))
    actual = value_and_gradients(depthwise_conv(x.requires_grad_(), taps.requires_grad_(), causal=causal), x, taps)
    exact = [t.detach().double().requires_grad_() for t in (x, taps)]
    expected = value_and_gradients(reference(*exact, causal=causal), *exact)
    for got, wanted in zip(actual, expected, strict=True):
        assert got.dtype == torch.bfloat16
        assert_near(got.double(), wanted, 1e-2)


@pytest.mark.parametrize(("tokens", "tolerance"), [(3200, 0), (64000, 2**-8)])
def test_bf16_weight_gradient_is_summed_in_fp32(tokens: int, tolerance: float) -> None:
    # A sum of ones kept in bf16 stops growing at 256. Only the entries of the Gram matrix are rounded to bf16: 200 is
    # exact, 4000 is not, and 3199, the sum of 16 entries, would not be if it were rounded too.
    x, taps = torch.ones(1, tokens, 1, dtype=torch.bfloat16), torch.zeros(1, 9, requires_grad=True)
    depthwise_conv(x, taps).sum().backward()
    assert taps.grad.tolist() == [pytest.approx([tokens - abs(j - 4) for j in range(9)], rel=tolerance, abs=0)]


@pytest.mark.parametrize("kernel", [3, 15])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_works_in_the_dtype_of_x_under_autocast(dtype: torch.dtype, tolerance: float, kernel: int) -> None:
    x, taps = draw_inputs(2, 20, 16, 2, kernel)
    low = x.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        actual = value_and_gradients(depthwise_conv(low, taps), low, taps)
    assert [t.dtype for t in actual] == [dtype, dtype, torch.float32]
    for got, wanted in zip(actual, value_and_gradients(reference(x, taps, False), x, taps), strict=True):
        assert_near(got.float(), wanted, tolerance)


@pytest.mark.parametrize("kernel", [3, 15])
def test_compiles_whole(kernel: int) -> None:
    torch.compiler.reset()
    compiled = torch.compile(depthwise_conv, fullgraph=True, backend="aot_eager")
    for tokens in (20, 33):
        x, taps = draw_inputs(2, tokens, 8, 2, kernel)
        expected = value_and_gradients(reference(x, taps, True), x, taps)
        for got, wanted in zip(value_and_gradients(compiled(x, taps, causal=True), x, taps), expected, strict=True):
            assert_near(got, wanted, 1e-5)


class Convolution(nn.Module):
    def __init__(self, taps: Tensor) -> None:
        super().__init__()
        self.taps = nn.Parameter(taps)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv(x, self.taps)


@pytest.mark.skipif(torch.__version__ < "2.11", reason="exports with free sizes from torch 2.11 on")
@pytest.mark.parametrize("kernel", [3, 15])
def test_exports_with_dynamic_batch_and_tokens(kernel: int) -> None:
    x, taps = draw_inputs(2, 20, 8, 2, kernel)
    dynamic = torch.export.Dim.DYNAMIC
    exported = torch.export.export(
        Convolution(taps.detach()), (x.detach(),), dynamic_shapes=({0: dynamic, 1: dynamic},)
    )
    longer, _ = draw_inputs(5, 37, 8, 2, kernel)
    assert_near(exported.module()(longer), reference(longer, taps, False), 1e-6)


@pytest.mark.parametrize(
    ("groups", "kernel", "message"),
    [(3, 5, "3 kernels cannot share 8 channels"), (2, 4, "odd number of taps, got 4; use 5")],
)
def test_refuses(groups: int, kernel: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        depthwise_conv(torch.zeros(1, 6, 8), torch.zeros(groups, kernel))
