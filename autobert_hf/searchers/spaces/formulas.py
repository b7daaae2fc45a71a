"""Random and mutated attention formulas: paths of primitives on the typed graph (AutoBERT-Zero, section 3.1)."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from autobert_hf.modeling.formula import check_formula, path
from autobert_hf.modeling.formula_primitives import FEATURES, INPUTS, PRIMITIVES, TOKENS
from autobert_hf.modeling.graph import Graph, GraphError, Node, canonicalize, types
from autobert_hf.searchers.spaces.formula_mutations import (
    GUIDED,
    LEAVES,
    MUTATIONS,
    OPERATIONS,
    changed,
    changes,
    with_all_inputs,
)
from autobert_hf.searchers.spaces.growing_formula import GrowingFormula


Draw = Callable[[Hashable, Sequence, Random], object]

MAX_ATTEMPTS = 10_000
GUIDED_ATTEMPTS = 500  # then the guide is left out


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

    Without a `draw`, primitives are uniform and illegal formulas are rejected. A guiding `draw(("path", j), choices,
    rng)` chooses what stands at position j of the finished path among the primitives that can stand there.
    `guided_only` leaves out mutations in which it has nothing to choose (another operand, a primitive fewer).

    Raises:
        SpaceError: if no draw of ten thousand is a legal formula.
    """

    min_path: int = 3
    max_path: int = 12
    min_inputs: int = 2
    guided_only: bool = False
    drawn: Counter = field(default_factory=Counter, compare=False)

    def sample(self, rng: Random, draw: Draw | None = None) -> Graph:
        guided = draw and self._guided(lambda guide: self._grown(rng, guide), draw)
        return guided or self._until_legal(lambda: self._random_nodes(rng))

    def mutate(self, graph: Graph, rng: Random, draw: Draw | None = None) -> Graph:
        """One changed primitive, operand or path length; never the same formula again."""
        guided = draw and self._guided(lambda guide: self._guided_change(graph, rng, guide), draw)
        return guided or self._until_legal(lambda: self._random_change(graph, rng), unlike=graph)

    def contains(self, graph: Graph) -> bool:
        return self._refusal(graph) is None

    def _guided(self, propose: Callable[[Draw], Graph | None], draw: Draw) -> Graph | None:
        return next((graph for _ in range(GUIDED_ATTEMPTS) if (graph := propose(draw)) is not None), None)

    def _until_legal(self, propose: Callable[[], list[Node]], unlike: Graph | None = None) -> Graph:
        for _ in range(MAX_ATTEMPTS):
            if (graph := self._accepted(propose(), unlike)) is not None:
                return graph
        raise SpaceError(
            f"No legal formula of {self.min_path} to {self.max_path} primitives in {MAX_ATTEMPTS} draws "
            f"({dict(self.drawn)}): widen the path limits."
        )

    def _accepted(self, nodes: list[Node], unlike: Graph | None = None) -> Graph | None:
        """The formula of the last node, counted in `drawn`; None if it is illegal."""
        found = self._legal(nodes)
        if isinstance(found, Graph) and found == unlike:
            found = "unchanged"
        self.drawn["accepted" if isinstance(found, Graph) else found] += 1
        return found if isinstance(found, Graph) else None

    def _legal(self, nodes: list[Node]) -> Graph | str:
        """The formula, or why it is none. Nearly all are refused before the canonical order, the costliest step."""
        refusal = self._misfit(_needed(nodes))
        if refusal is not None:
            return refusal
        try:
            graph = canonicalize(nodes, len(nodes) - 1, PRIMITIVES)
        except GraphError:  # more nodes than any graph may have
            return "path length"
        return self._refusal(graph) or graph

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

    def _random_nodes(self, rng: Random) -> list[Node]:
        names = self._inputs(rng)
        nodes: list[Node] = [(name, ()) for name in names]
        unused = list(range(len(nodes)))
        for _ in range(rng.randint(self.min_path, self.max_path)):
            operation = rng.choice(OPERATIONS)
            args = tuple(_operand(rng, len(nodes), unused) for _ in range(PRIMITIVES[operation].arity))
            unused = [node for node in unused if node not in args] + [len(nodes)]
            nodes.append((operation, args))
        return nodes

    def _inputs(self, rng: Random) -> list[str]:
        return rng.sample(LEAVES, rng.randint(self.min_inputs, len(LEAVES)))

    def _grown(self, rng: Random, draw: Draw) -> Graph | None:
        """A formula whose path is what was drawn; None if its canonical order is another, or it led nowhere."""
        formula = GrowingFormula(self._inputs(rng), self.min_inputs, rng.randint(self.min_path, self.max_path))
        asked: list[str] = []
        while formula.left:
            choices = formula.choices()
            if not choices:
                self.drawn["dead end"] += 1
                return None
            asked.append(str(draw(("path", len(asked)), tuple(choices), rng)))
            formula.grow(asked[-1], choices[asked[-1]], rng)
        found = self._legal(formula.nodes)
        in_order = isinstance(found, Graph) and path(found) == tuple(asked)
        self.drawn["accepted" if in_order else "order" if isinstance(found, Graph) else found] += 1
        return found if isinstance(found, Graph) and in_order else None

    def _random_change(self, graph: Graph, rng: Random) -> list[Node]:
        nodes = with_all_inputs(graph)
        target = rng.randrange(len(LEAVES), len(nodes))
        (kind,) = rng.choices(list(MUTATIONS), list(MUTATIONS.values()))
        return changed(nodes, kind, target, rng)

    def _guided_change(self, graph: Graph, rng: Random, draw: Draw) -> Graph | None:
        nodes, kinds = with_all_inputs(graph), GUIDED if self.guided_only else MUTATIONS
        target = rng.randrange(len(LEAVES), len(nodes))
        (kind,) = rng.choices(list(kinds), list(kinds.values()))
        if kind not in GUIDED:
            return self._accepted(changed(nodes, kind, target, rng), unlike=graph)
        legal = _legal_changes(self, graph, kind, target)
        if not legal:
            self.drawn["nothing fits"] += 1
            return None
        self.drawn["accepted"] += 1
        operation = str(draw(("path", target - len(LEAVES)), tuple(legal), rng))
        return rng.choice(legal[operation])


@lru_cache(maxsize=4096)
def _legal_changes(sampler: FormulaSampler, graph: Graph, kind: str, target: int) -> dict[str, list[Graph]]:
    """By primitive: the legal formulas with it at the position of node `target` (see `with_all_inputs`)."""
    nodes, position = with_all_inputs(graph), target - len(LEAVES)
    found: dict[str, list[Graph]] = {}
    for operation in OPERATIONS:
        legal = [one for one in map(sampler._legal, changes(nodes, kind, target, operation)) if isinstance(one, Graph)]
        # A replaced operand of `add` may change places with the other, and the new primitive its position.
        kept = [one for one in legal if one != graph and path(one)[position : position + 1] == (operation,)]
        if kept:
            found[operation] = list(dict.fromkeys(kept))
    return found


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
