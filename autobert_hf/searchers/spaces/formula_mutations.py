"""How a formula changes: another primitive, another operand, a longer or a shorter path."""

from random import Random

from autobert_hf.modeling.formula_primitives import INPUTS, PRIMITIVES
from autobert_hf.modeling.graph import Graph, Node


LEAVES = tuple(INPUTS)
OPERATIONS = tuple(PRIMITIVES)

# Not in the paper; our defaults. The first two put a primitive at a position, which a guide can choose.
GUIDED = {"replace": 0.5, "insert": 0.15}
MUTATIONS = {"replace": 0.5, "rewire": 0.2, "insert": 0.15, "delete": 0.15}


def with_all_inputs(graph: Graph) -> list[Node]:
    """The nodes of `graph` after those of all four inputs, so that a changed operand can be any of them."""
    nodes: list[Node] = [(name, ()) for name in LEAVES]
    place: list[int] = []
    for operation, args in graph.nodes:
        if not args:
            place.append(LEAVES.index(operation))
        else:
            place.append(len(nodes))
            nodes.append((operation, tuple(place[arg] for arg in args)))
    return nodes


def changed(nodes: list[Node], kind: str, target: int, rng: Random) -> list[Node]:
    """`nodes` after a random mutation of this kind, legal or not."""
    if kind == "rewire":
        return _rewired(nodes, target, rng)
    if kind == "delete":
        return _deleted(nodes, target, rng)
    operation = rng.choice(OPERATIONS)
    return (_replaced if kind == "replace" else _inserted)(nodes, target, operation, rng)


def changes(nodes: list[Node], kind: str, target: int, operation: str) -> list[list[Node]]:
    """All that `replace` or `insert` with this operation can make of `nodes`, legal or not."""
    arity = PRIMITIVES[operation].arity
    old, args = nodes[target]
    if kind == "replace":
        kept = args[:arity]
        lists = [kept] if len(kept) == arity else [*_pairs(kept[0], target)]
        return [[*nodes[:target], (operation, operands), *nodes[target + 1 :]] for operands in lists]
    return [
        _with_inserted(nodes, target, which, (operation, operands))
        for which in range(len(args))
        for operands in ([(args[which],)] if arity == 1 else _pairs(args[which], target))
    ]


def _pairs(kept: int, target: int) -> list[tuple[int, ...]]:
    """An operand that stays, beside each node before `target`, in both orders."""
    return list(dict.fromkeys(pair for other in range(target) for pair in ((kept, other), (other, kept))))


def _replaced(nodes: list[Node], target: int, operation: str, rng: Random) -> list[Node]:
    args = list(nodes[target][1])[: PRIMITIVES[operation].arity]
    while len(args) < PRIMITIVES[operation].arity:
        args.insert(rng.randrange(2), rng.randrange(target))
    return [*nodes[:target], (operation, tuple(args)), *nodes[target + 1 :]]


def _rewired(nodes: list[Node], target: int, rng: Random) -> list[Node]:
    operation, args = nodes[target]
    which = rng.randrange(len(args))
    changed = (*args[:which], rng.randrange(target), *args[which + 1 :])
    return [*nodes[:target], (operation, changed), *nodes[target + 1 :]]


def _inserted(nodes: list[Node], target: int, operation: str, rng: Random) -> list[Node]:
    which = rng.randrange(len(nodes[target][1]))
    operands = [nodes[target][1][which], *(rng.randrange(target) for _ in range(PRIMITIVES[operation].arity - 1))]
    rng.shuffle(operands)
    return _with_inserted(nodes, target, which, (operation, tuple(operands)))


def _with_inserted(nodes: list[Node], target: int, which: int, new: Node) -> list[Node]:
    """The new primitive takes over operand `which` of `target`; later nodes move up by one."""
    old, args = nodes[target]
    moved = [(op, tuple(arg + (arg >= target) for arg in operand)) for op, operand in nodes[target + 1 :]]
    rewired = (old, (*args[:which], target, *args[which + 1 :]))
    return [*nodes[:target], new, rewired, *moved]


def _deleted(nodes: list[Node], target: int, rng: Random) -> list[Node]:
    """Users of `target` get one of its operands instead; if it was the output, that operand becomes the output."""
    heir = rng.choice(nodes[target][1])
    kept = [
        (op, tuple(heir if arg == target else arg - (arg > target) for arg in args))
        for op, args in nodes[target + 1 :]
    ]
    return [*nodes[:target], *kept] if kept else nodes[: heir + 1]
