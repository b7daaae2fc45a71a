"""A small typed graph: immutable, hashable, canonical. Its meaning comes from a table of primitives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b


MAX_NODES = 64

# The names of the two axes. Sizes never enter, so that sizes that only happen to be equal never unify.
Type = tuple[str, str]
Node = tuple[str, tuple[int, ...]]  # (primitive, positions of its operands) or (input, ())
Key = tuple[int, str, bytes]


class GraphError(ValueError):
    """A text or a list of nodes that is not a legal graph; the message is one sentence for the user."""


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """One operation; `result` maps the types of its `arity` operands to its own, to None if they do not fit."""

    arity: int
    result: Callable[..., Type | None]
    commutative: bool = False


@dataclass(frozen=True)
class Graph:
    """The nodes that the output needs, operands first, output last; made by `canonicalize`.

    Two graphs that differ only in repeated subexpressions or in the order of commutative operands are equal.
    """

    nodes: tuple[Node, ...]


def canonicalize(nodes: Sequence[Node], output: int, primitives: Mapping[str, Primitive]) -> Graph:
    """The canonical graph of node `output`; operands must stand before their users. Raises GraphError.

    Common subexpressions are merged, operands of commutative primitives sorted, unused nodes dropped, and the rest is
    put in depth-first post-order from the output, which makes the order unique.
    """
    keys: list[Key] = []
    operands: list[tuple[int, ...]] = []
    for position, (name, args) in enumerate(nodes):
        _check_node(position, name, args, primitives)
        if args and primitives[name].commutative:
            args = tuple(sorted(args, key=keys.__getitem__))
        operands.append(args)
        keys.append(_key(name, [keys[arg] for arg in args]))
    return Graph(_post_order(nodes, output, keys, operands))


def types(nodes: Sequence[Node], primitives: Mapping[str, Primitive], inputs: Mapping[str, Type]) -> list[Type]:
    """The type of every node. Raises GraphError that names the primitive and the shapes of its operands."""
    found: list[Type] = []
    for name, args in nodes:
        result = primitives[name].result(*(found[arg] for arg in args)) if args else inputs.get(name)
        if result is None and not args:
            raise GraphError(f"unknown input {name!r}: use {', '.join(inputs)}")
        if result is None:
            shapes = " and ".join(f"({', '.join(found[arg])})" for arg in args)
            raise GraphError(f"{name} does not fit operands of shape {shapes}: make the axes match")
        found.append(result)
    return found


def _check_node(position: int, name: str, args: tuple[int, ...], primitives: Mapping[str, Primitive]) -> None:
    if args and name not in primitives:
        raise GraphError(f"unknown primitive {name!r}: use one of {', '.join(primitives)}")
    if name in primitives and len(args) != primitives[name].arity:
        raise GraphError(f"{name} takes {primitives[name].arity} operands, node {position} gives it {len(args)}")
    if not all(0 <= arg < position for arg in args):
        raise GraphError(f"node {position} ({name}) takes operands {args}: use only nodes that stand before it")


def _key(name: str, operands: list[Key]) -> Key:
    """An order that depends on structure alone; the digest stands for the whole subtree, so sharing costs nothing."""
    height = 1 + max((key[0] for key in operands), default=-1)
    return height, name, blake2b(repr((name, [key[2] for key in operands])).encode(), digest_size=16).digest()


def _post_order(
    nodes: Sequence[Node], output: int, keys: list[Key], operands: list[tuple[int, ...]]
) -> tuple[Node, ...]:
    placed: dict[Key, int] = {}
    ordered: list[Node] = []
    stack = [output]
    while stack:
        node = stack[-1]
        waiting = next((arg for arg in operands[node] if keys[arg] not in placed), None)
        if waiting is not None:
            stack.append(waiting)
            continue
        stack.pop()
        placed[keys[node]] = len(ordered)
        ordered.append((nodes[node][0], tuple(placed[keys[arg]] for arg in operands[node])))
    if len(ordered) > MAX_NODES:
        raise GraphError(f"the graph has {len(ordered)} nodes, at most {MAX_NODES} are allowed: shorten it")
    return tuple(ordered)
