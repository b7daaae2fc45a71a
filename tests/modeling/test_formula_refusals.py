"""What is refused as an attention formula, and that little else is."""

import random
import time

import pytest

from autobert_hf.modeling.formula import Formula, check_formula, parse_formula
from autobert_hf.modeling.formula_primitives import INPUTS, PRIMITIVES
from autobert_hf.modeling.graph import Graph, GraphError, Node, canonicalize, types


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("q.__class__", "__class__"),
        ("q.T.__init__", "__init__"),
        ("q.T.__init__.__globals__", "__globals__"),
        ("__import__('os').system('touch hacked')", "not allowed"),
        ("__import__('os')", "__import__"),
        ("eval('q')", "eval"),
        ("open('hacked', 'w')", "open"),
        ("relu(q)", "relu"),
        ("softmax(w)", "unknown name 'w'"),
        ("(" * 10_000 + "q" + ")" * 10_000, "20001 characters"),
        ("(" * 300 + "q" + ")" * 300, "cannot be read"),
        ("q" + " + q" * 5_000, "20001 characters"),
        ("-" * 900 + "q", "901 tokens"),
        ("-" * 700 + "q", "701 nodes"),
        ("softmax(" * 150 + "q" + ")" * 150, "151 nodes"),
        ("q @ k.T @ v; " * 5_042, "65546 characters"),
        ("", "empty"),
        (" \n ", "empty"),
        ("q\0", "null bytes"),
        (7, "expected text, got int"),
        (None, "expected text, got NoneType"),
        (["q"], "expected text, got list"),
        (b"q", "expected text, got bytes"),
        ("(z := q)", "z := q"),
        ("lambda: q", "lambda: q"),
        ("f'{q}'", "not allowed"),
        ("'q'", "not allowed"),
        ("q / 2", "_ / _"),
        ("q / sqrt(2)", "_ / _"),
        ("q / d", "_ / _"),
        ("d", "unknown name 'd'"),
        ("q * k", r"_ \* _"),
        ("softmax(q, -1)", r"softmax\(_, _\)"),
        ("softmax(q, dim=1)", "softmax"),
        ("add(*q)", r"add\(_\)"),
        ("q = k; q", "'q' at line 1, column 1 is taken"),
        ("softmax = k; q", "'softmax' at line 1, column 1 is taken"),
        ("d = k; d", "'d' at line 1, column 1 is taken"),
        ("z = k; q", "'z' is never used"),
        ("z = k", "must be an expression"),
        ("q @ k", r"matmul does not fit operands of shape \(tokens, features\) and \(tokens, features\)"),
        ("q + k.T", r"add does not fit .*\(tokens, features\) and \(features, tokens\)"),
        ("cosine(q, k.T) @ v", "cosine does not fit"),
        ("q @ k.T", r"the result has shape \(tokens, tokens\)"),
        ("q.T", r"the result has shape \(features, tokens\)"),
        ("q @ (k.T @ (v @ (q.T @ (k @ k.T)))) @ q", "range of float32"),
        ("z = softsign(q @ k.T); y = z @ z; x = y @ y; w = x @ x; w @ w @ v", "range of float32"),
        ("; ".join(["z0 = q + q", *(f"z{i} = z{i - 1} + z{i - 1}" for i in range(1, 59)), "z58"]), "float32"),
        ("; ".join(["z0 = q", *(f"z{i} = cosine(z{i - 1}, k) @ v" for i in range(1, 12)), "z11"]), "float32"),
    ],
)
def test_bad_text_is_refused_in_one_sentence(text: object, reason: str) -> None:
    begin = time.process_time()
    with pytest.raises(GraphError, match=reason) as caught:
        Formula(text)  # type: ignore[arg-type]
    assert time.process_time() - begin < 0.5
    message = str(caught.value)
    assert message.startswith("attention formula ") and "\n" not in message and len(message) < 500


def test_graphs_that_are_no_formulas_are_refused() -> None:
    with pytest.raises(GraphError, match="unknown input 'w'"):
        Formula(Graph((("w", ()),)))
    with pytest.raises(GraphError, match="result has shape"):
        Formula(Graph((("q", ()), ("transpose", (0,)))))


def test_uncanonical_graphs_are_canonicalized() -> None:
    nodes = (("q", ()), ("k", ()), ("q", ()), ("v", ()), ("add", (2, 1)))
    assert Formula(Graph(nodes)).graph == parse_formula("k + q")


def random_chain(rng: random.Random, length: int) -> list[Node]:
    """Primitives that each take the one before them, so that the output needs them all."""
    nodes: list[Node] = [(name, ()) for name in INPUTS]
    found = types(nodes, PRIMITIVES, INPUTS)
    while len(nodes) < len(INPUTS) + length:
        name = rng.choice(sorted(PRIMITIVES))
        args = [len(nodes) - 1, rng.randrange(len(nodes))][: PRIMITIVES[name].arity]
        rng.shuffle(args)
        if (result := PRIMITIVES[name].result(*(found[arg] for arg in args))) is not None:
            nodes.append((name, tuple(args)))
            found.append(result)
    return nodes


def test_the_checker_does_not_win_by_refusing() -> None:
    """Of well-typed random chains of twelve primitives that map to (tokens, features), nearly all pass."""
    rng, refused, drawn = random.Random(0), 0, 0
    while drawn < 200:
        graph = canonicalize(random_chain(rng, 12), len(INPUTS) + 11, PRIMITIVES)
        if types(graph.nodes, PRIMITIVES, INPUTS)[-1] == INPUTS["q"]:
            drawn += 1
            try:
                check_formula(graph)
            except GraphError as error:
                assert "range of float32" in str(error)
                refused += 1
    assert refused <= 0.04 * drawn
