"""Random and mutated attention formulas: paths of primitives on the typed graph (AutoBERT-Zero, section 3.1)."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random

from autobert_hf.modeling.formula import check_formula, path
from autobert_hf.modeling.formula_primitives import FEATURES, INPUTS, PRIMITIVES, TOKENS
from autobert_hf.modeling.graph import Graph, GraphError, Node, canonicalize, types


LEAVES = tuple(INPUTS)
OPERATIONS = tuple(PRIMITIVES)
Draw = Callable[[Hashable, Sequence, Random], object]

# How a path changes (not in the paper; our defaults): another operation, another operand, a longer or shorter path.
MUTATIONS = {"replace": 0.5, "rewire": 0.2, "insert": 0.15, "delete": 0.15}
MAX_ATTEMPTS = 10_000
# Operations that score well separately may rarely form a legal formula; then draws become uniform.
GUIDED_ATTEMPTS = 500


def uniform(position: Hashable, choices: Sequence, rng: Random) -> object:
    """The unguided draw."""
    return rng.choice(choices)


class SpaceError(ValueError):
    """The limits of a space leave no, or almost no, architecture."""


@dataclass(frozen=True)
class FormulaSampler:
    """
    Formulas with `min_path` to `max_path` primitives over `min_inputs` to 4 of q, k, v, p (the paper gives no path
    limits). `drawn` counts accepted and rejected draws by reason, to show what the rules reject.

    Raises:
        SpaceError: if no draw of ten thousand is a legal formula.
    """

    min_path: int = 3
    max_path: int = 12
    min_inputs: int = 2
    drawn: Counter = field(default_factory=Counter, compare=False)

    def sample(self, rng: Random, draw: Draw = uniform) -> Graph:
        return self._until_legal(lambda guide: self._random_nodes(rng, guide), draw)

    def mutate(self, graph: Graph, rng: Random, draw: Draw = uniform) -> Graph:
        """One changed primitive, operand or path length; never the same formula again."""
        return self._until_legal(lambda guide: _mutated_nodes(graph, rng, guide), draw, unlike=graph)

    def contains(self, graph: Graph) -> bool:
        return self._refusal(graph) is None

    def _until_legal(self, propose: Callable[[Draw], list[Node]], draw: Draw, unlike: Graph | None = None) -> Graph:
        for attempt in range(MAX_ATTEMPTS):
            nodes = propose(draw if attempt < GUIDED_ATTEMPTS else uniform)
            # Nearly all draws are rejected here, before the canonical order, the most expensive step.
            refusal = self._misfit(_needed(nodes))
            if refusal is None:
                try:
                    graph = canonicalize(nodes, len(nodes) - 1, PRIMITIVES)
                    refusal = self._refusal(graph) or ("unchanged" if graph == unlike else None)
                except GraphError:  # more nodes than any graph may have
                    refusal = "path length"
            self.drawn[refusal or "accepted"] += 1
            if refusal is None:
                return graph
        raise SpaceError(
            f"No legal formula of {self.min_path} to {self.max_path} primitives in {MAX_ATTEMPTS} draws "
            f"({dict(self.drawn)}): widen the path limits."
        )

    def _refusal(self, graph: Graph) -> str | None:
        misfit = self._misfit(graph.nodes)
        if misfit is not None:
            return misfit
        if not self.min_path <= len(path(graph)) <= self.max_path:
            return "path length"
        try:
            check_formula(graph)
        except GraphError:
            return "growth"
        return None

    def _misfit(self, nodes: Sequence[Node]) -> str | None:
        """Why the needed nodes are illegal, regardless of order and of merging equal nodes; None if they are not."""
        if sum(not args for _, args in nodes) < self.min_inputs:
            return "too few inputs"
        try:
            result = types(nodes, PRIMITIVES, INPUTS)[-1]
        except GraphError:
            return "operand shapes"
        return None if result == (TOKENS, FEATURES) else "output shape"

    def _random_nodes(self, rng: Random, draw: Draw) -> list[Node]:
        names = rng.sample(LEAVES, rng.randint(self.min_inputs, len(LEAVES)))
        nodes: list[Node] = [(name, ()) for name in names]
        unused = list(range(len(nodes)))
        for position in range(rng.randint(self.min_path, self.max_path)):
            operation = str(draw(("path", position), OPERATIONS, rng))
            args = tuple(_operand(rng, len(nodes), unused) for _ in range(PRIMITIVES[operation].arity))
            unused = [node for node in unused if node not in args] + [len(nodes)]
            nodes.append((operation, args))
        return nodes


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """The last node and those that it depends on, in the same order."""
    needed = {len(nodes) - 1}
    for index in range(len(nodes) - 1, -1, -1):
        if index in needed:
            needed.update(nodes[index][1])
    place = {old: new for new, old in enumerate(sorted(needed))}
    return [(nodes[old][0], tuple(place[arg] for arg in nodes[old][1])) for old in place]


def _operand(rng: Random, known: int, unused: list[int]) -> int:
    """Mostly a node that is not used yet, so that most drawn nodes end up in the formula."""
    return rng.choice(unused) if unused and rng.random() < 0.75 else rng.randrange(known)


def _mutated_nodes(graph: Graph, rng: Random, draw: Draw) -> list[Node]:
    """Leaves for all four inputs first, so that a rewired operand can reach any of them."""
    nodes: list[Node] = [(name, ()) for name in LEAVES]
    place: list[int] = []
    for operation, args in graph.nodes:
        if not args:
            place.append(LEAVES.index(operation))
        else:
            place.append(len(nodes))
            nodes.append((operation, tuple(place[arg] for arg in args)))
    target = rng.randrange(len(LEAVES), len(nodes))
    (kind,) = rng.choices(list(MUTATIONS), list(MUTATIONS.values()))
    position = target - len(LEAVES)
    if kind == "rewire":
        return _rewired(nodes, target, rng)
    if kind == "delete":
        return _deleted(nodes, target, rng)
    operation = str(draw(("path", position), OPERATIONS, rng))
    return (_replaced if kind == "replace" else _inserted)(nodes, target, operation, rng)


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
    """The new primitive takes over one operand of `target`; later nodes move up by one."""
    old, args = nodes[target]
    which = rng.randrange(len(args))
    operands = [args[which], *(rng.randrange(target) for _ in range(PRIMITIVES[operation].arity - 1))]
    rng.shuffle(operands)
    moved = [(op, tuple(arg + (arg >= target) for arg in operand)) for op, operand in nodes[target + 1 :]]
    rewired = (old, (*args[:which], target, *args[which + 1 :]))
    return [*nodes[:target], (operation, tuple(operands)), rewired, *moved]


def _deleted(nodes: list[Node], target: int, rng: Random) -> list[Node]:
    """Users of `target` get one of its operands instead; if it was the output, that operand becomes the output."""
    heir = rng.choice(nodes[target][1])
    kept = [
        (op, tuple(heir if arg == target else arg - (arg > target) for arg in args))
        for op, args in nodes[target + 1 :]
    ]
    return [*nodes[:target], *kept] if kept else nodes[: heir + 1]
