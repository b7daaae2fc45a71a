"""Rewriting a formula into softmax(c * X @ Y.T) @ Z, the form that fused kernels and decoder caches understand.

Exact rules only: scalars move out of the softmax, transposes move towards the inputs and cancel in pairs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .formula_primitives import FEATURES, INPUTS, PRIMITIVES, TOKENS, Step, mixes_tokens, plan
from .graph import Graph, Node, types


_ELEMENTWISE = {"neg", "scale", "logsigmoid", "softsign", "add"}


class Lowering(NamedTuple):
    """The steps that compute X, Y, Z, their positions in `steps`, and c = head_dim ** (-scales / 2)."""

    steps: tuple[Step, ...]
    operands: tuple[int, int, int]
    scales: int


def lower(graph: Graph) -> Lowering | None:
    """The lowering of a formula, None if it has another form. X, Y, Z may be any subgraphs; c is always positive.

    A minus sign goes into X: FlashAttention takes a row's largest score before it scales, so with c < 0 its
    exponentials could overflow.
    """
    nodes = _Rewriter(graph)
    name, args = graph.nodes[-1]
    if name != "matmul" or nodes.name(args[0]) != "softmax" or nodes.type(args[0]) != (TOKENS, TOKENS):
        return None
    scores, negative, scales = nodes.peeled(nodes.operand(args[0]))
    if nodes.name(scores) != "matmul" or nodes.type(nodes.operand(scores)) != (TOKENS, FEATURES):
        return None
    x, keys = nodes[scores][1]
    return nodes.lowering(nodes.negated(x) if negative else x, nodes.transposed(keys), args[1], scales)


def causal_refusal(lowering: Lowering | None) -> str | None:
    """Why a formula cannot run in a decoder, as a sentence; None if it can.

    It can if row t of X, Y and Z depends on row t of the inputs alone: then cached rows stay valid as tokens arrive.
    """
    if lowering is None:
        return "it is not of the form softmax(X @ Y.T * c) @ Z, whose Y and Z a decoder could cache"
    steps, operands, _ = lowering
    found = types([(step.name, step.args) for step in steps], PRIMITIVES, INPUTS)
    for label, operand in zip("XYZ", operands, strict=True):
        for node in _needed(steps, [operand]):
            if mixes_tokens(steps[node], found[node]):
                return f"{label} of its form softmax(X @ Y.T * c) @ Z mixes tokens by {steps[node].name}"
    return None


class _Rewriter(list[Node]):
    """The nodes of a graph, to which equal nodes are added only once."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.nodes)
        self.positions = {node: position for position, node in enumerate(self)}
        self.transposes: dict[int, int] = {}

    def name(self, node: int) -> str:
        return self[node][0]

    def operand(self, node: int) -> int:
        return self[node][1][0]

    def type(self, node: int) -> tuple[str, str]:
        return types(self, PRIMITIVES, INPUTS)[node]

    def add(self, name: str, *args: int) -> int:
        node = (name, args)
        if node not in self.positions:
            self.positions[node] = len(self)
            self.append(node)
        return self.positions[node]

    def peeled(self, node: int) -> tuple[int, bool, int]:
        """A node without its outer signs, scales and transposes; whether it was negated, and how often scaled."""
        negative, scales = False, 0
        while True:
            match self.name(node):
                case "neg":
                    node, negative = self.operand(node), not negative
                case "scale":
                    node, scales = self.operand(node), scales + 1
                case "transpose" if (turned := self.transposed(self.operand(node))) != node:
                    node = turned
                case _:
                    return node, negative, scales

    def negated(self, node: int) -> int:
        return self.operand(node) if self.name(node) == "neg" else self.add("neg", node)

    def transposed(self, node: int) -> int:
        """The transpose of a node, with as few transposes at run time as the rules allow."""
        if node not in self.transposes:
            name, args = self[node]
            if name == "transpose":
                self.transposes[node] = args[0]
            elif name in _ELEMENTWISE:
                self.transposes[node] = self.add(name, *(self.transposed(arg) for arg in args))
            elif name == "matmul":
                self.transposes[node] = self.add(name, *(self.transposed(arg) for arg in reversed(args)))
            else:
                self.transposes[node] = self.add("transpose", node)
        return self.transposes[node]

    def lowering(self, x: int, y: int, z: int, scales: int) -> Lowering:
        kept = _needed(plan(self), [x, y, z])
        renumbered = {node: position for position, node in enumerate(kept)}
        nodes = [(self[node][0], tuple(renumbered[arg] for arg in self[node][1])) for node in kept]
        return Lowering(plan(nodes), (renumbered[x], renumbered[y], renumbered[z]), scales)


def _needed(steps: Sequence[Step], roots: Sequence[int]) -> list[int]:
    """What the roots need, operands first, in an order that does not depend on how the steps are numbered."""
    found: dict[int, None] = {}

    def visit(node: int) -> None:
        if node not in found:
            for arg in steps[node].args:
                visit(arg)
            found[node] = None

    for root in roots:
        visit(root)
    return list(found)
