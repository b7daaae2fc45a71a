"""Graphs as text: a harmless subset of Python's expressions that is read by a white list and never evaluated.

Notation is a table from pictures to the primitives that they stand for, in the order of application (postfix):
"{} @ {}" means ("matmul",), "{} - {}" means ("neg", "add"). Reader and writer share it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from .graph import Graph, GraphError, Node, Primitive, canonicalize


# Any graph of 64 nodes prints within these; both are checked before Python's parser sees the text.
MAX_LENGTH = 2000
MAX_TOKENS = 800

Notation = Mapping[str, tuple[str, ...]]

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.MatMult: "@", ast.Mult: "*", ast.Div: "/"}
_SUM, _PRODUCT, _UNARY, _ATOM = range(1, 5)  # Python's precedence, loosest first


def notation(primitives: Mapping[str, Primitive], sugar: Notation) -> dict[str, tuple[str, ...]]:
    """The whole notation: every primitive as a function call, and the sugar."""
    return {_call(name, primitive.arity): (name,) for name, primitive in primitives.items()} | dict(sugar)


def read(text: str, inputs: Sequence[str], primitives: Mapping[str, Primitive], sugar: Notation) -> Graph:
    """The graph of `text`: assignments to new names, separated by newlines or `;`, then one expression.

    Raises GraphError with one sentence for everything that is not in the notation; the text is never evaluated.
    """
    text = _checked(text)
    *assignments, result = _statements(text)
    reader = _Reader(text, inputs, primitives, notation(primitives, sugar))
    for statement in assignments:
        reader.assign(statement)
    if not isinstance(result, ast.Expr):
        raise GraphError(f"the statement at {_place(result)} must be an expression: end with the result itself")
    output = reader.expression(result.value)
    if reader.unused:
        raise GraphError(f"the name {_short(min(reader.unused))} is never used: use it or remove its assignment")
    return canonicalize(reader.nodes, output, primitives)


def write(graph: Graph, primitives: Mapping[str, Primitive], sugar: Notation) -> str:
    """The canonical text: nodes used more than once get names (z1, z2, ...), all others stand where they are used."""
    pictures = {
        picture: program
        for picture, program in notation(primitives, sugar).items()
        if picture in sugar or program not in sugar.values()
    }
    uses = Counter(arg for _, args in graph.nodes for arg in args)
    bound: list[str] = []
    texts: list[tuple[str, int]] = []
    for position, (name, args) in enumerate(graph.nodes):
        options = [
            _fill(picture, [texts[arg] for arg in operands])
            for picture, program in pictures.items()
            for operands in _match(graph.nodes, program, position, uses, primitives)
        ]
        text = min(options, key=lambda option: len(option[0])) if args else (name, _ATOM)
        if args and uses[position] > 1:
            bound.append(f"z{len(bound) + 1} = {text[0]}")
            text = (f"z{len(bound)}", _ATOM)
        texts.append(text)
    return "; ".join([*bound, texts[-1][0]])


class _Reader:
    def __init__(
        self, text: str, inputs: Sequence[str], primitives: Mapping[str, Primitive], pictures: Notation
    ) -> None:
        self.nodes: list[Node] = [(name, ()) for name in inputs]
        self.names = {name: position for position, name in enumerate(inputs)}
        self.unused: set[str] = set()
        self.text, self.primitives, self.pictures = text, primitives, pictures
        self.reserved = {*inputs, *re.findall(r"\w+", " ".join(pictures))}

    def assign(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name in self.reserved or name in self.names:
                    raise GraphError(f"{_short(name)} at {_place(statement)} is taken: assign to a new name")
                self.names[name] = self.expression(value)
                self.unused.add(name)
            case _:
                raise GraphError(f"the statement at {_place(statement)} is not of the form name = expression")

    def expression(self, root: ast.expr) -> int:
        """Append the nodes of an expression, return its position. The stack is our own: no depth exhausts Python's."""
        todo: list[ast.expr | str] = [root]
        done: list[int] = []
        while todo:
            item = todo.pop()
            if isinstance(item, str):
                first = len(done) - self.primitives[item].arity
                self.nodes.append((item, tuple(done[first:])))
                done[first:] = [len(self.nodes) - 1]
            elif isinstance(item, ast.Name):
                done.append(self._lookup(item))
            else:
                picture, operands = self._picture(item)
                todo += [*reversed(self.pictures[picture]), *reversed(operands)]
        return done[0]

    def _lookup(self, node: ast.Name) -> int:
        if node.id not in self.names:
            known = ", ".join(name for name in self.names if len(name) < 20)
            raise GraphError(f"unknown name {_short(node.id)} at {_place(node)}: known here are {known}")
        self.unused.discard(node.id)
        return self.names[node.id]

    def _picture(self, node: ast.expr) -> tuple[str, list[ast.expr]]:
        for picture, operands in _pictures(node):
            if picture in self.pictures:
                return picture, operands
        source = ast.get_source_segment(self.text, node) or type(node).__name__
        shown = next((picture.replace("{}", "_") for picture, _ in _pictures(node)), source)
        allowed = ", ".join(self.pictures).replace("{}", "_")
        raise GraphError(f"{_short(shown)} at {_place(node)} is not allowed: use only {allowed}")


def _checked(text: str) -> str:
    if not isinstance(text, str):
        raise GraphError(f"expected text, got {type(text).__name__}: write it as a string")
    if len(text) > MAX_LENGTH:
        raise GraphError(f"the text has {len(text)} characters, at most {MAX_LENGTH} are allowed: shorten it")
    if (tokens := len(re.findall(r"\w+|[^\w\s]", text))) > MAX_TOKENS:
        raise GraphError(f"the text has {tokens} tokens, at most {MAX_TOKENS} are allowed: shorten it")
    return "\n".join(line.strip() for line in text.splitlines())


def _statements(text: str) -> list[ast.stmt]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:  # ValueError: null bytes, lone surrogates
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise GraphError(f"the text cannot be read ({reason}): check brackets and operators, or shorten it") from None
    if not body:
        raise GraphError("the text is empty: write an expression")
    return body


def _pictures(node: ast.expr) -> Iterator[tuple[str, list[ast.expr]]]:
    """The pictures that a syntax node may show, each with its operands; none for what no notation can allow."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            yield f"{{}} {_OPERATORS[type(op)]} {{}}", [left, right]
            match right:
                case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=constant)], keywords=[]):
                    yield f"{{}} {_OPERATORS[type(op)]} {name}({constant})", [left]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "-{}", [operand]
        case ast.Attribute(value=value, attr=attribute):
            yield f"{{}}.{attribute}", [value]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            yield _call(name, len(args)), args


def _match(
    nodes: Sequence[Node], program: tuple[str, ...], root: int, uses: Counter[int], primitives: Mapping[str, Primitive]
) -> Iterator[list[int]]:
    """The operands with which `program` computes node `root`, for each order in which the root may print them."""
    name, args = nodes[root]
    if name != program[-1]:
        return
    for order in [args, args[::-1]] if primitives[name].commutative else [args]:
        operands = list(order)
        for inner in reversed(program[:-1]):
            node = operands.pop()
            if nodes[node][0] != inner or uses[node] > 1:
                break
            operands += nodes[node][1]
        else:
            yield operands


def _fill(picture: str, operands: list[tuple[str, int]]) -> tuple[str, int]:
    level, needed = _precedence(picture)
    return picture.format(
        *(f"({t})" if own < least else t for (t, own), least in zip(operands, needed, strict=True))
    ), level


def _precedence(picture: str) -> tuple[int, list[int]]:
    """How tightly a picture binds, and how tightly each of its operands must bind to stand without parentheses."""
    if picture.startswith("-"):
        return _UNARY, [_UNARY]
    if picture.startswith("{}."):
        return _ATOM, [_ATOM]
    if picture.startswith("{} "):
        level = _SUM if picture[3] in "+-" else _PRODUCT
        return level, [level, level + 1][: picture.count("{}")]
    return _ATOM, [0] * picture.count("{}")


def _call(name: str, arity: int) -> str:
    return f"{name}({', '.join(['{}'] * arity)})"


def _place(node: ast.stmt | ast.expr) -> str:
    return f"line {node.lineno}, column {node.col_offset + 1}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
