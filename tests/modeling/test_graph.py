"""The graph core and its text, on a toy language that has nothing to do with attention."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf.modeling.graph import MAX_NODES, Graph, GraphError, Node, Primitive, canonicalize, types
from autobert_hf.modeling.graph_text import MAX_LENGTH, MAX_TOKENS, read, write


PRIMITIVES = {
    "flip": Primitive(arity=1, result=lambda x: x[::-1]),
    "negate": Primitive(arity=1, result=lambda x: x),
    "double": Primitive(arity=1, result=lambda x: x),
    "plus": Primitive(arity=2, result=lambda x, y: x if x == y else None, commutative=True),
    "times": Primitive(arity=2, result=lambda x, y: (x[0], y[1]) if x[1] == y[0] else None),
    "far": Primitive(arity=2, result=lambda x, y: x),
}
INPUTS = {"a": ("rows", "columns"), "b": ("rows", "columns")}
SUGAR = {
    "{} + {}": ("plus",),
    "{} - {}": ("negate", "plus"),
    "-{}": ("negate",),
    "{}.T": ("flip",),
    "{} * {}": ("times",),
    "{} / root(n)": ("double",),
    "folded({})": ("negate", "double", "negate"),
}


def parse(text: str) -> Graph:
    return read(text, tuple(INPUTS), PRIMITIVES, SUGAR)


def show(graph: Graph) -> str:
    return write(graph, PRIMITIVES, SUGAR)


@st.composite
def node_lists(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = [(name, ()) for name in INPUTS]
    for _ in range(draw(st.integers(0, 20))):
        name = draw(st.sampled_from(sorted(PRIMITIVES)))
        args = [draw(st.integers(0, len(nodes) - 1)) for _ in range(PRIMITIVES[name].arity)]
        nodes.append((name, tuple(args)))
    return nodes


def scrambled(nodes: list[Node], rng: random.Random) -> list[Node]:
    """The same graph with every node twice, users bound to either copy, and commutative operands in any order."""
    copies: list[list[int]] = []
    result: list[Node] = []
    for name, args in nodes:
        copies.append([])
        for _ in range(2):
            chosen = [rng.choice(copies[arg]) for arg in args]
            if name == "plus":
                rng.shuffle(chosen)
            copies[-1].append(len(result))
            result.append((name, tuple(chosen)))
    return result


def spelled_out(nodes: list[Node], rng: random.Random) -> str:
    """Plain function calls, one name for every node the output needs."""
    needed = {len(nodes) - 1}
    names: dict[int, str] = {}
    for position in reversed(range(len(nodes))):
        if position in needed:
            needed.update(nodes[position][1])
    lines: list[str] = []
    for position, (name, args) in enumerate(nodes):
        if position in needed:
            shown = [names[arg] for arg in args]
            if name == "plus":
                rng.shuffle(shown)
            names[position] = f"n{position}" if args else name
            if args:
                lines.append(f"n{position} = {name}({', '.join(shown)})")
    return "\n".join([*lines, names[len(nodes) - 1]])


@settings(max_examples=150, deadline=None)
@given(node_lists(), st.randoms())
def test_equal_up_to_repetition_and_commutativity_is_equal(nodes: list[Node], rng: random.Random) -> None:
    graph = canonicalize(nodes, len(nodes) - 1, PRIMITIVES)
    other = scrambled(nodes, rng)
    assert canonicalize(other, len(other) - 1, PRIMITIVES) == graph
    assert parse(spelled_out(nodes, rng)) == graph
    assert parse(show(graph)) == graph
    assert show(parse(show(graph))) == show(graph)


@settings(max_examples=50, deadline=None)
@given(node_lists())
def test_canonical_graphs_are_sorted_distinct_and_all_used(nodes: list[Node]) -> None:
    graph = canonicalize(nodes, len(nodes) - 1, PRIMITIVES)
    assert len(set(graph.nodes)) == len(graph.nodes)
    assert all(arg < position for position, (_, args) in enumerate(graph.nodes) for arg in args)
    used = {arg for _, args in graph.nodes for arg in args}
    assert used == set(range(len(graph.nodes) - 1))
    assert canonicalize(graph.nodes, len(graph.nodes) - 1, PRIMITIVES) == graph


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plus(b, a)", "a + b"),
        ("(a + b) + a", "a + b + a"),
        ("a - (b - a)", "a - (b - a)"),
        ("-a - b", "-a - b"),
        ("plus(negate(b), a)", "a - b"),
        ("--a", "--a"),
        ("(-a).T", "(-a).T"),
        ("-a.T", "-a.T"),
        ("a * (b * a)", "a * (b * a)"),
        ("(a * b) * a", "a * b * a"),
        ("(a * b) / root(n)", "a * b / root(n)"),
        ("a * (b / root(n))", "a * (b / root(n))"),
        ("a * -b", "a * -b"),
        ("-(a * b)", "-(a * b)"),
        ("(a + b).T", "(a + b).T"),
        ("-(double(-a))", "folded(a)"),
        ("a - double(-b)", "a + folded(b)"),
        ("far(a + b, -a)", "far(a + b, -a)"),
        ("x = a + b; x * x", "z1 = a + b; z1 * z1"),
        ("(a + b) * (b + a)", "z1 = a + b; z1 * z1"),
        ("x = -a; far(x, a + x)", "z1 = -a; far(z1, a + z1)"),
        ("  a\n", "a"),
    ],
)
def test_prints(text: str, printed: str) -> None:
    assert show(parse(text)) == printed


def test_sharing_is_never_expanded() -> None:
    begin = time.process_time()
    text = "z0 = a\n" + "".join(f"z{i} = z{i - 1} + z{i - 1}\n" for i in range(1, 60)) + "z59"
    graph = parse(text)
    assert len(graph.nodes) == 60
    assert parse(show(graph)) == graph
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("name", ["far", "negate", "plus", "double"])
def test_the_largest_graphs_print_within_the_limits_of_the_reader(name: str) -> None:
    nodes: list[Node] = [("a", ()), ("b", ())]
    while len(nodes) < MAX_NODES - 1:  # everything is shared, so everything is named
        nodes.append((name, (len(nodes) - 1, len(nodes) - 2)[: PRIMITIVES[name].arity]))
    nodes.append(("far", (len(nodes) - 1, len(nodes) - 2)))
    graph = canonicalize(nodes, len(nodes) - 1, PRIMITIVES)
    assert parse(show(graph)) == graph


def test_types_follow_the_axes_and_name_what_does_not_fit() -> None:
    assert types(parse("a * b.T").nodes, PRIMITIVES, INPUTS)[-1] == ("rows", "rows")
    with pytest.raises(GraphError, match=r"times does not fit .*\(rows, columns\) and \(rows, columns\)"):
        types(parse("a * b").nodes, PRIMITIVES, INPUTS)
    with pytest.raises(GraphError, match="unknown input 'c'"):
        types([("c", ())], PRIMITIVES, INPUTS)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([("a", ()), ("cube", (0,))], "unknown primitive 'cube'"),
        ([("a", ()), ("plus", (0,))], "plus takes 2 operands, node 1 gives it 1"),
        ([("plus", ())], "plus takes 2 operands"),
        ([("a", ()), ("negate", (1,))], "only nodes that stand before it"),
        ([("a", ()), ("negate", (-1,))], "only nodes that stand before it"),
        ([("a", ()), *(("negate", (i,)) for i in range(MAX_NODES))], f"65 nodes, at most {MAX_NODES}"),
    ],
)
def test_illegal_nodes(nodes: list[Node], reason: str) -> None:
    with pytest.raises(GraphError, match=reason):
        canonicalize(nodes, len(nodes) - 1, PRIMITIVES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("# a", "empty"),
        ("a +", "cannot be read"),
        ("a\0", "null bytes"),
        ("a\ud800", "cannot be read"),
        ("a" * (MAX_LENGTH + 1), f"{MAX_LENGTH + 1} characters"),
        ("-" * MAX_TOKENS + "a", f"{MAX_TOKENS + 1} tokens"),
        ("-" * (MAX_TOKENS - 1) + "a", f"{MAX_TOKENS} nodes"),
        ("(" * 250 + "a" + ")" * 250, "cannot be read"),
        ("a" + ".T" * 300, "301 nodes"),
        ("a; b", "not of the form name = expression"),
        ("x = a", "must be an expression"),
        ("x = a; b", "'x' is never used"),
        ("a = b; a", "'a' at line 1, column 1 is taken"),
        ("x = a\nx = b\nx", "'x' at line 2, column 1 is taken"),
        ("folded = a; folded", "'folded' at line 1, column 1 is taken"),
        ("root = a; root", "'root' at line 1, column 1 is taken"),
        ("x = x; x", "unknown name 'x' at line 1, column 5"),
        ("x = y = a; x", "not of the form"),
        ("x: a = b; x", "not of the form"),
        ("x += a; x", "not of the form"),
        ("import os", "must be an expression"),
        ("a + c", "unknown name 'c' at line 1, column 5: known here are a, b"),
        ("a + n", "unknown name 'n'"),
        ("a.real", "'_.real' at line 1, column 1 is not allowed"),
        ("a @ b", "'_ @ _' at line 1, column 1 is not allowed"),
        ("a / root(b)", "'_ / _' at line 1"),
        ("a / 2", "'_ / _' at line 1"),
        ("a * 2", "'2' at line 1, column 5 is not allowed"),
        ("f(a)", r"'f\(_\)' at line 1, column 1 is not allowed"),
        ("a(b)", r"'a\(_\)' at line 1"),
        ("far(a)", r"'far\(_\)' at line 1"),
        ("far(a, y=b)", r"'far\(a, y=b\)' at line 1"),
        ("negate(*a)", r"'\*a' at line 1, column 8"),
        ("(lambda: a)()", r"lambda: a"),
        ("(x := a)", "'x := a' at line 1"),
        ("f'{a}'", "not allowed"),
        ("[a for a in b]", "not allowed"),
        ("a if a else b", "not allowed"),
        ("a < b", "not allowed"),
        ("a and b", "not allowed"),
        ("+a", "not allowed"),
        ("a[0]", "not allowed"),
    ],
)
def test_illegal_texts(text: str, reason: str) -> None:
    begin = time.process_time()
    with pytest.raises(GraphError, match=reason) as caught:
        parse(text)
    assert time.process_time() - begin < 0.5
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
