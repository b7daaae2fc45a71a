"""Attention formulas: text, legality, padding, numerics, lowering; the published formulas of AutoBERT-Zero."""

import itertools
import time
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from autobert_hf.modeling.formula import (
    MAX_VALUE,
    STANDARD_ATTENTION,
    Formula,
    check_formula,
    format_formula,
    parse_formula,
    path,
)
from autobert_hf.modeling.formula_primitives import FEATURES, INPUTS, PRIMITIVES, TOKENS
from autobert_hf.modeling.graph import Graph, GraphError, Node, canonicalize, types


PUBLISHED = {  # the attention layers of AutoBERT-Zero base, Figure 7 of Gao et al., 2021
    2: "softmax(q @ softplus(k.T) / sqrt(d)) @ (k + q)",
    4: "z = logsigmoid(q) + (q + k); softmax(q @ (-logsigmoid(z)).T / sqrt(d)) @ q",
    6: "softmax(q @ (-logsigmoid(k)).T / sqrt(d)) @ q",
    8: "softmax(q @ (-logsigmoid(k)).T / sqrt(d)) @ q",
    10: "z = k / sqrt(d) + softsign(softsign(k) / sqrt(d)) + v; softmax(q @ z.T / sqrt(d)) @ v",
    12: "softmax(q @ (k / sqrt(d) + v).T / sqrt(d)) @ v",
}
TOKEN_ROWS = (TOKENS, FEATURES)


def attention(x: Tensor, y: Tensor, z: Tensor, real: Tensor | None, scaling: float | None = None) -> Tensor:
    """Scaled dot-product attention, written independently of the code under test."""
    scores = x @ y.transpose(2, 3) * (x.shape[-1] ** -0.5 if scaling is None else scaling)
    if real is not None:
        scores = scores + torch.zeros_like(scores).masked_fill(~real[:, None, None, :], torch.finfo(x.dtype).min)
    return torch.softmax(scores, dim=-1) @ z


def published_closed_form(layer: int, q: Tensor, k: Tensor, v: Tensor, real: Tensor | None) -> Tensor:
    root = q.shape[-1] ** 0.5
    if layer == 2:
        return attention(q, torch.log(1 + torch.exp(k)), k + q, real)
    if layer in (6, 8):
        return attention(q, torch.log(1 + torch.exp(-k)), q, real)  # softplus of -K, not of K
    if layer == 4:
        z = torch.sigmoid(q).log() + q + k
        return attention(q, torch.log(1 + torch.exp(-z)), q, real)
    if layer == 10:
        inner = k / (1 + k.abs()) / root
        return attention(q, k / root + inner / (1 + inner.abs()) + v, v, real)
    return attention(q, k / root + v, v, real)


def random_inputs(seed: int = 0, tokens: int = 7, size: float = 1.0, dtype: torch.dtype = torch.float32) -> dict:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 3, tokens, 4)
    return {name: size * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for name in INPUTS}


def real_tokens(*lengths: int, tokens: int = 7) -> Tensor:
    return torch.arange(tokens)[None] < torch.tensor(lengths)[:, None]


def log_sigmoid(x: Tensor) -> Tensor:
    return torch.sigmoid(x).log()


def at(real: Tensor, x: Tensor) -> Tensor:
    """The rows of real tokens."""
    return x.transpose(1, 2)[real]


# Random formulas


def fitting(name: str, found: list[tuple[str, str]]) -> list[tuple[int, ...]]:
    positions = itertools.product(range(len(found)), repeat=PRIMITIVES[name].arity)
    return [args for args in positions if PRIMITIVES[name].result(*(found[arg] for arg in args)) is not None]


@st.composite
def formulas(draw: st.DrawFn, attention_only: bool = False) -> Graph:
    """Well-typed graphs of up to nine random primitives; half of them, or all, inside softmax(± X @ Y.T / ...) @ Z."""
    nodes: list[Node] = [(name, ()) for name in INPUTS]
    for _ in range(draw(st.integers(0, 9))):
        found = types(nodes, PRIMITIVES, INPUTS)
        options = {name: fitting(name, found) for name in sorted(PRIMITIVES)}
        name = draw(st.sampled_from([name for name, args in options.items() if args]))
        nodes.append((name, draw(st.sampled_from(options[name]))))
    found = types(nodes, PRIMITIVES, INPUTS)
    rows = [position for position, result in enumerate(found) if result == TOKEN_ROWS]
    output = rows[-1]
    if attention_only or draw(st.booleans()):
        x, y, z = (draw(st.sampled_from(rows)) for _ in range(3))
        nodes += [("transpose", (y,)), ("matmul", (x, len(nodes)))]
        for name in draw(st.lists(st.sampled_from(["neg", "scale", "transpose"]), max_size=3)):
            nodes.append((name, (len(nodes) - 1,)))
        nodes += [("softmax", (len(nodes) - 1,)), ("matmul", (len(nodes), z))]
        output = len(nodes) - 1
    graph = canonicalize(nodes, output, PRIMITIVES)
    try:
        check_formula(graph)
    except GraphError:
        assume(False)
    return graph


@settings(max_examples=100, deadline=None)
@given(formulas())
def test_text_round_trip(graph: Graph) -> None:
    text = format_formula(graph)
    assert parse_formula(text) == graph
    assert format_formula(parse_formula(text)) == text
    assert Formula(text).graph == Formula(graph).graph == graph
    assert len(path(graph)) == len(graph.nodes) - len(Formula(graph).inputs)


@settings(max_examples=100, deadline=None)
@given(formulas(), st.integers(0, 1000))
def test_right_padding_changes_nothing_at_real_tokens(graph: Graph, seed: int) -> None:
    formula = Formula(graph)
    inputs = random_inputs(seed, dtype=torch.float64)
    expected = formula(inputs, None)
    for padding, content in [(1, 3.0), (4, float("nan")), (6, float("inf"))]:
        mask = real_tokens(7, 7, tokens=7 + padding)
        padded = {name: functional.pad(x, (0, 0, 0, padding), value=content) for name, x in inputs.items()}
        result = formula(padded, mask)
        torch.testing.assert_close(result[:, :, :7], expected, rtol=1e-6, atol=1e-6)
        assert result.isfinite().all()
        torch.testing.assert_close(formula(padded, mask.long()), result)


@settings(max_examples=100, deadline=None)
@given(formulas(attention_only=True), st.integers(0, 1000))
def test_lowering_equals_the_interpreter(graph: Graph, seed: int) -> None:
    formula = Formula(graph)
    assert formula.lowered
    assert formula.scaling(4) > 0
    for lengths in [None, (7, 4)]:
        inputs = random_inputs(seed, dtype=torch.float64)
        real = None if lengths is None else real_tokens(*lengths)
        x, y, z = formula.operands(inputs, real)
        assert x.shape == y.shape == z.shape == inputs["q"].shape
        result, expected = attention(x, y, z, real, formula.scaling(4)), formula(inputs, real)
        kept = real_tokens(7, 7) if real is None else real
        torch.testing.assert_close(at(kept, result), at(kept, expected), rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(formulas(attention_only=True), st.integers(0, 6))
def test_operands_of_causal_formulas_are_token_local(graph: Graph, token: int) -> None:
    formula = Formula(graph)
    assume(formula.causal)
    inputs = random_inputs()
    changed = {name: x.index_fill(2, torch.tensor([token]), 5.0) for name, x in inputs.items()}
    others = [t for t in range(7) if t != token]
    for before, after in zip(formula.operands(inputs, None), formula.operands(changed, None), strict=True):
        torch.testing.assert_close(after[:, :, others], before[:, :, others])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@settings(max_examples=100, deadline=None)
@given(graph=formulas(), seed=st.integers(0, 1000), size=st.sampled_from([0.0, 1e-4, 3.0, 30.0]))
def test_forward_and_backward_are_finite(graph: Graph, seed: int, size: float, dtype: torch.dtype) -> None:
    """Enlarged and vanishing inputs, zero rows, equal rows, NaN in the padding, and a sequence that is all padding."""
    formula = Formula(graph)
    inputs = random_inputs(seed, size=size, dtype=dtype)
    for x in inputs.values():
        x[:, :, 0] = 0
        x[:, :, 1] = x[:, :, 2] = inputs["q"][:, :, 2]
    for lengths in [None, (5, 0)]:
        real = None if lengths is None else real_tokens(*lengths)
        leaves = {
            name: (x if real is None else x.masked_fill(~real[:, None, :, None], float("nan"))).requires_grad_()
            for name, x in inputs.items()
            if name in formula.inputs
        }
        output = formula(leaves, real)
        assert output.dtype == dtype
        assert output.isfinite().all()
        normed = functional.layer_norm(output + output.detach(), (4,))
        gradients = torch.autograd.grad((normed * torch.arange(4.0)).sum() + output.sum(), list(leaves.values()))
        assert all(gradient.isfinite().all() for gradient in gradients)
        inputs = {name: x.detach() for name, x in inputs.items()}


# Published formulas and single primitives


@pytest.mark.parametrize("layer", PUBLISHED)
@pytest.mark.parametrize("lengths", [None, (7, 3)])
def test_published_formulas_equal_their_closed_forms(layer: int, lengths: tuple[int, int] | None) -> None:
    formula = Formula(PUBLISHED[layer])
    inputs = random_inputs(layer)
    real = None if lengths is None else real_tokens(*lengths)
    expected = published_closed_form(layer, inputs["q"], inputs["k"], inputs["v"], real)
    kept = torch.ones(2, 7, dtype=torch.bool) if real is None else real
    lowered = attention(*formula.operands(inputs, real), real, formula.scaling(4))
    for result in (formula(inputs, real), lowered):
        assert (at(kept, result) - at(kept, expected)).abs().max() < 1e-6
    assert formula.causal and formula.causal_refusal is None


def test_paths_and_inputs_of_published_formulas() -> None:
    graphs = {layer: parse_formula(text) for layer, text in PUBLISHED.items()}
    assert {layer: len(path(graph)) for layer, graph in graphs.items()} == {2: 9, 4: 10, 6: 7, 8: 7, 10: 11, 12: 7}
    assert path(graphs[2]) == (
        *("transpose", "neg", "logsigmoid", "neg", "matmul", "scale", "softmax", "add", "matmul"),
    )
    assert {layer: Formula(text).inputs for layer, text in PUBLISHED.items()} == {
        **dict.fromkeys((2, 4, 6, 8), ("q", "k")),
        **dict.fromkeys((10, 12), ("q", "k", "v")),
    }


def test_standard_attention_equals_torch() -> None:
    formula, inputs, real = Formula(STANDARD_ATTENTION), random_inputs(), real_tokens(7, 3)
    assert path(formula.graph) == ("transpose", "matmul", "scale", "softmax", "matmul")
    assert formula.text == STANDARD_ATTENTION
    expected = functional.scaled_dot_product_attention(
        inputs["q"], inputs["k"], inputs["v"], attn_mask=real[:, None, None]
    )
    torch.testing.assert_close(at(real, formula(inputs, real)), at(real, expected))
    x, y, z = formula.operands(inputs, real)
    assert x is inputs["q"] and y is inputs["k"] and z is inputs["v"]  # no work before the kernel


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("q @ (k.T @ v)", lambda q, k, v: torch.einsum("btd,bsd,bse->bte", q, k, v)),
        ("cosine(q, k) @ v", lambda q, k, v: functional.cosine_similarity(q[:, :, None], k[:, None], dim=-1) @ v),
        ("euclidean(q, k) @ v", lambda q, k, v: (q[:, :, None] - k[:, None]).pow(2).sum(-1).sqrt() @ v),
        ("q @ euclidean(k.T, v.T)", lambda q, k, v: q @ (k[..., None] - v[:, :, None]).pow(2).sum(1).sqrt()),
        ("q @ cosine(k.T, v.T)", lambda q, k, v: q @ functional.cosine_similarity(k[..., None], v[:, :, None], dim=1)),
        ("q @ (logsigmoid(k).T @ logsigmoid(v))", lambda q, k, v: q @ (log_sigmoid(k).mT @ log_sigmoid(v))),
        (
            "q @ cosine(logsigmoid(k).T, logsigmoid(v).T)",
            lambda q, k, v: (
                q @ functional.cosine_similarity(log_sigmoid(k)[..., None], log_sigmoid(v)[:, :, None], dim=1)
            ),
        ),
        (
            "q @ euclidean(logsigmoid(k).T, v.T)",
            lambda q, k, v: q @ (log_sigmoid(k)[..., None] - v[:, :, None]).pow(2).sum(1).sqrt(),
        ),
        ("softmax(k.T).T + q", lambda q, k, v: k.softmax(1) + q),
        ("softmax(k) + softsign(q)", lambda q, k, v: k.softmax(2) + q / (1 + q.abs())),
        ("softmax((q @ k.T).T) @ v", lambda q, k, v: (k @ q.mT).softmax(-1) @ v),
        ("softmax(q @ k.T).T @ v", lambda q, k, v: (q @ k.mT).softmax(-1).mT @ v),
        ("scale(q) - logsigmoid(k)", lambda q, k, v: q / 2 - log_sigmoid(k)),
    ],
)
def test_every_primitive_against_its_definition(text: str, reference: Callable[..., Tensor]) -> None:
    """Two sequences of 7 and 4 tokens in one padded batch, the reference one sequence at a time without padding."""
    inputs = random_inputs()
    result = Formula(text)(inputs, real_tokens(7, 4))
    for row, length in enumerate((7, 4)):
        q, k, v = (inputs[name][row, :, :length] for name in "qkv")
        torch.testing.assert_close(result[row, :, :length], reference(q, k, v), rtol=1e-4, atol=1e-5)


def test_small_distances_of_large_rows_are_exact_and_their_gradients_finite() -> None:
    q = 100 * random_inputs()["q"]
    k = q + 1e-2
    k[:, :, 0] = q[:, :, 0]
    inputs = {"q": q.requires_grad_(), "k": k, "v": torch.eye(7, 4).expand(2, 3, 7, 4)}
    distances = Formula("euclidean(q, k) @ v")(inputs, None)
    expected = (q - k).detach().norm(dim=-1)
    torch.testing.assert_close(distances.diagonal(dim1=2, dim2=3), expected[..., :4], rtol=1e-3, atol=0)
    assert torch.autograd.grad(distances.sum(), q)[0].isfinite().all()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("softmax(q @ softplus(k).T) @ v", "softmax(q @ softplus(k.T)) @ v"),
        ("softmax(q @ (k / sqrt(d) + v).T) @ v", "softmax(q @ (k.T / sqrt(d) + v.T)) @ v"),
        ("softmax(q @ k.T) @ v", "softmax((k @ q.T).T) @ v"),
        ("softmax(q @ k.T) @ v", "softmax(-(-q @ k.T)) @ v"),
        ("softmax(q @ softsign(-k.T)) @ v", "softmax((softsign(-k) @ q.T).T) @ v"),
    ],
)
def test_transposes_and_signs_cancel_when_lowering(text: str, same: str) -> None:
    first, second = Formula(text), Formula(same)
    assert first._lowering == second._lowering
    assert first._lowering is not None
    assert "transpose" not in [step.name for step in first._lowering.steps]


def test_lowering_never_expands_shared_nodes() -> None:
    begin = time.process_time()
    doubled = [f"z{i} = softsign(z{i - 1}) + logsigmoid(z{i - 1})" for i in range(1, 19)]
    formula = Formula("; ".join(["z0 = k.T", *doubled, "softmax(q @ z18) @ v"]))
    assert formula.causal and formula._lowering is not None and len(formula._lowering.steps) == 3 + 3 * 18
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("text", "scaling"),
    [
        ("softmax(q @ k.T) @ v", 1.0),
        ("softmax(-(q @ k.T) / sqrt(d) / sqrt(d)) @ v", 1 / 16),
        ("softmax(-(-(q @ k.T)) / sqrt(d)) @ v", 1 / 4),
    ],
)
def test_scaling_is_positive_and_the_sign_goes_into_x(text: str, scaling: float) -> None:
    formula, inputs = Formula(text), random_inputs()
    assert formula.scaling(16) == pytest.approx(scaling)
    lowered = attention(*formula.operands(inputs, None), None, formula.scaling(4))
    torch.testing.assert_close(lowered, formula(inputs, None))


@pytest.mark.parametrize(
    ("text", "lowered", "reason"),
    [
        ("q @ (k.T @ v)", False, "not of the form"),
        ("softmax(cosine(q, k)) @ v", False, "not of the form"),
        ("softmax(euclidean(q, k)) @ v", False, "not of the form"),
        ("softmax(q @ k.T).T @ v", False, "not of the form"),
        ("softmax(q @ k.T) @ v + v", False, "not of the form"),
        ("softmax(q) @ (k.T @ v)", False, "not of the form"),
        ("softmax(q @ (k.T @ v)) @ (k.T @ v)", False, "not of the form"),
        ("softmax((q @ k.T) @ (q @ k.T)) @ v", False, "not of the form"),
        ("softmax(cosine(q, k).T) @ v", False, "not of the form"),
        ("softmax(q @ softmax(k.T)) @ v", True, "^Y .*mixes tokens by softmax$"),
        ("softmax(q @ k.T) @ (softmax(q @ k.T) @ v)", True, "^Z .*mixes tokens by matmul$"),
        ("softmax((q @ (k.T @ v)) @ k.T) @ v", True, "^X .*mixes tokens by matmul$"),
        ("softmax(q @ k.T) @ (cosine(q, k) @ v)", True, "^Z .*mixes tokens by cosine$"),
        ("softmax(q @ softmax(k).T) @ v", True, None),
        ("softmax(-(q @ k.T)) @ (v - softsign(p))", True, None),
    ],
)
def test_what_lowers_and_what_a_decoder_may_use(text: str, lowered: bool, reason: str | None) -> None:
    formula = Formula(text)
    assert formula.lowered == lowered
    assert formula.causal == (reason is None)
    if reason is not None:
        assert formula.causal_refusal is not None
        with pytest.raises(ValueError, match=reason):
            raise ValueError(formula.causal_refusal)
    if not lowered:
        with pytest.raises(ValueError, match="call the formula instead"):
            formula.operands(random_inputs(), None)
        with pytest.raises(ValueError, match="no scaling"):
            formula.scaling(4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("text", "least"),
    [("q @ (k.T @ (v @ (q.T @ k)))", 6e15), ("softsign(q @ k.T) @ (softsign(k @ q.T) @ (k @ (q.T @ v)))", 6e13)],
)
def test_the_largest_admitted_growth_is_finite(text: str, least: float, dtype: torch.dtype) -> None:
    """All inputs at the assumed bound and equal, so that every sum is as large as it can be; LayerNorm after it."""
    value = torch.full((1, 1, 512, 512), 10.0, dtype=dtype, requires_grad=True)
    output = Formula(text)(dict.fromkeys("qkvp", value), None)
    assert least < output.abs().max() < MAX_VALUE
    weighted = functional.layer_norm(output * torch.linspace(-1, 1, 512).to(dtype), (512,)) * torch.arange(512)
    (gradient,) = torch.autograd.grad(weighted.sum() + output.sum(), value)
    assert output.isfinite().all() and weighted.isfinite().all() and gradient.isfinite().all()
