"""Attention formulas: attention mechanisms as text over q, k, v, p (AutoBERT-Zero, Gao et al., 2021, section 1.2).

    z = k / sqrt(d) + v; softmax(q @ z.T / sqrt(d)) @ v

A formula is read once into a canonical graph, checked, and run either as it stands or, where it is
softmax(c * X @ Y.T) @ Z, through an attention kernel that is given X, Y, Z and c.
"""

from collections.abc import Mapping
from functools import lru_cache

from torch import Tensor

from .formula_lowering import causal_refusal, lower
from .formula_primitives import FEATURES, INPUT_BOUND, INPUTS, PRIMITIVES, TOKENS, Bound, evaluate, plan
from .graph import Graph, GraphError, canonicalize, types
from .graph_text import read, write


STANDARD_ATTENTION = "softmax(q @ k.T / sqrt(d)) @ v"

SUGAR = {
    "-{}": ("neg",),
    "{}.T": ("transpose",),
    "{} / sqrt(d)": ("scale",),
    "{} + {}": ("add",),
    "{} - {}": ("neg", "add"),
    "{} @ {}": ("matmul",),
    "softplus({})": ("neg", "logsigmoid", "neg"),
}

# z = q @ k.T; z = z @ z; ... doubles the degree at every step and leaves float32 after a few; so do bounded factors
# (softsign, summed over tokens) and doublings by add, which is why sizes are bounded, not degrees. Values must survive
# the output projection and then the squares in LayerNorm, which overflow from 1e18 on: MAX_VALUE. Gradients are sums
# of slopes over a batch and must stay below 3e38: MAX_SLOPE. Products of five inputs pass, products of six do not.
MAX_VALUE = 1e16
MAX_SLOPE = 1e30


def parse_formula(text: str) -> Graph:
    """The canonical graph of a formula. Raises GraphError with one sentence that names the formula and what to do."""
    try:
        graph = _read(text) if isinstance(text, str) else read(text, tuple(INPUTS), PRIMITIVES, SUGAR)
    except GraphError as error:
        shown = text if len(str(text)) <= 80 else str(text)[:77] + "..."
        raise GraphError(f"attention formula {shown!r}: {error}") from None
    return graph


def format_formula(graph: Graph) -> str:
    """The canonical text of a formula: equal graphs print equally, and the text reads back as the same graph."""
    return write(graph, PRIMITIVES, SUGAR)


def check_formula(graph: Graph) -> None:
    """Raise GraphError unless the graph is well-typed, ends in (tokens, features) and is bounded as stated above."""
    result = types(graph.nodes, PRIMITIVES, INPUTS)[-1]
    if result != (TOKENS, FEATURES):
        raise GraphError(f"the result has shape ({', '.join(result)}): it must be (tokens, features), as q is")
    bounds: list[Bound] = []
    for name, args in graph.nodes:
        operands = [bounds[arg] for arg in args]
        bounds.append(PRIMITIVES[name].bound(*operands) if args else Bound(INPUT_BOUND, 1.0))
        if bounds[-1].value > MAX_VALUE or bounds[-1].slope > MAX_SLOPE:
            raise GraphError(
                f"values or gradients after {name} can leave the range of float32: "
                "use fewer products, or bound their operands by softmax, softsign or cosine"
            )


def path(graph: Graph) -> tuple[str, ...]:
    """The primitives of the graph in topological order, inputs left out: what OP-NAS draws position by position."""
    return tuple(name for name, args in graph.nodes if args)


class Formula:
    """A checked formula that computes attention; plain data, no parameters.

    graph, text: the canonical graph and its print. inputs: those of q, k, v, p that are used, in this order.
    lowered: whether `operands` and `scaling` exist. causal: whether a decoder can run it from cached rows of Y and Z;
    causal_refusal: the reason why not, else None.

    Padding is a (batch, tokens) mask, true or 1 for real tokens, or None. Every reduction over tokens leaves padded
    tokens out, so with padding on the right the output at real tokens depends neither on what stands there nor on how
    much there is; rows of padding, and batch entries of nothing else, come out finite.
    """

    def __init__(self, formula: str | Graph) -> None:
        """Raises GraphError for what `parse_formula` or `check_formula` refuse."""
        if isinstance(formula, Graph):
            self.graph = canonicalize(formula.nodes, len(formula.nodes) - 1, PRIMITIVES)
            check_formula(self.graph)
        else:
            self.graph = parse_formula(formula)
        self.text = format_formula(self.graph)
        used = {name for name, args in self.graph.nodes if not args}
        self.inputs = tuple(name for name in INPUTS if name in used)
        self._steps = plan(self.graph.nodes)
        self._lowering = lower(self.graph)
        self.lowered = self._lowering is not None
        self.causal_refusal = causal_refusal(self._lowering)
        self.causal = self.causal_refusal is None

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"

    def __call__(self, inputs: Mapping[str, Tensor], padding: Tensor | None) -> Tensor:
        """The formula node by node. inputs[name]: (batch, heads, tokens, head_dim); returns the same shape."""
        return evaluate(self._steps, inputs, padding)[-1]

    def operands(self, inputs: Mapping[str, Tensor], padding: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """X, Y, Z as (batch, heads, tokens, head_dim): the formula is softmax(scaling * X @ Y.T) @ Z, keys masked.

        A causal formula needs no masks, so its operands keep what stands in the padding, as BERT's q, k and v do.
        """
        if self._lowering is None:
            raise ValueError(f"{self.text!r} is not of the form softmax(X @ Y.T * c) @ Z: call the formula instead")
        values = evaluate(self._lowering.steps, inputs, None if self.causal else padding)
        x, y, z = self._lowering.operands
        return values[x], values[y], values[z]

    def scaling(self, head_dim: int) -> float:
        """The factor c > 0 before the softmax of a lowered formula."""
        if self._lowering is None:
            raise ValueError(f"{self.text!r} is not of the form softmax(X @ Y.T * c) @ Z: it has no scaling")
        return head_dim ** (-self._lowering.scales / 2)


@lru_cache(maxsize=1024)
def _read(text: str) -> Graph:
    graph = read(text, tuple(INPUTS), PRIMITIVES, SUGAR)
    check_formula(graph)
    return graph
