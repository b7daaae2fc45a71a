"""Attention formulas as LaTeX, built from the parsed graph, so that no text of a config is included."""

from collections import Counter

from autobert_hf.modeling.graph import Graph


_SUM, _PRODUCT, _POWER, _ATOM = range(1, 5)  # precedence of an expression, lowest first

# Primitive: template, its precedence, the precedence that its operands need to go without parentheses.
PICTURES: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "neg": ("-{}", _SUM, (_PRODUCT,)),
    "transpose": (r"{}^{{\top}}", _POWER, (_ATOM,)),
    "scale": (r"\frac{{{}}}{{\sqrt{{d}}}}", _POWER, (0,)),
    "softmax": (r"\operatorname{{softmax}}\left({}\right)", _ATOM, (0,)),
    "logsigmoid": (r"\log\sigma\left({}\right)", _POWER, (0,)),
    "softsign": (r"\operatorname{{softsign}}\left({}\right)", _ATOM, (0,)),
    "add": ("{} + {}", _SUM, (_SUM, _SUM)),
    "matmul": ("{} {}", _PRODUCT, (_PRODUCT, _POWER)),
    "cosine": (r"\operatorname{{cos}}\left({}, {}\right)", _ATOM, (0, 0)),
    "euclidean": (r"\operatorname{{dist}}\left({}, {}\right)", _ATOM, (0, 0)),
}


def latex(graph: Graph) -> list[str]:
    """
    One equation per line, without delimiters: `z_1 = ...` for every node that is used more than once, numbered as in
    the formula's text, and the result at the end.
    """
    uses = Counter(arg for _, args in graph.nodes for arg in args)
    lines: list[str] = []
    found: list[tuple[str, int]] = []
    for position, (name, args) in enumerate(graph.nodes):
        expression = _expression(name, [found[arg] for arg in args]) if args else (name, _ATOM)
        if args and uses[position] > 1:
            lines.append(f"z_{len(lines) + 1} = {expression[0]}")
            expression = (f"z_{len(lines)}", _ATOM)
        found.append(expression)
    return [*lines, found[-1][0]]


def _expression(name: str, operands: list[tuple[str, int]]) -> tuple[str, int]:
    picture, level, needed = PICTURES[name]
    texts = [
        text if own >= least else rf"\left({text}\right)" for (text, own), least in zip(operands, needed, strict=True)
    ]
    if name == "add" and texts[0].startswith("-"):
        texts.reverse()
    if name == "add" and texts[1].startswith("-"):
        return f"{texts[0]} - {texts[1][1:]}", level
    return picture.format(*texts), level
