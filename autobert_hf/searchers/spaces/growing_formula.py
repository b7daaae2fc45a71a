"""A formula that grows primitive by primitive, in the order of its path, so that a guide can choose each of them."""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from random import Random

from autobert_hf.modeling.formula import MAX_SLOPE, MAX_VALUE
from autobert_hf.modeling.formula_primitives import FEATURES, INPUT_BOUND, INPUTS, PRIMITIVES, TOKENS, Bound
from autobert_hf.modeling.graph import Node, Type


RESULT = (TOKENS, FEATURES)
Operands = tuple[int, ...]


class GrowingFormula:
    """
    The path of a formula is its depth-first post-order, so the primitives that nobody uses yet form a stack: the next
    primitive takes some of its top, in order, beside any inputs and earlier nodes. `choices` are the primitives that
    fit the types here and after which `left` primitives can still end in one result that depends on `needed` more
    inputs. Which of two operands of `add` comes first is only known at the end, so the order is checked there again.
    """

    def __init__(self, names: Sequence[str], min_inputs: int, length: int) -> None:
        self.nodes: list[Node] = [(name, ()) for name in names]
        self.types: list[Type] = [INPUTS[name] for name in names]
        self.bounds = [Bound(INPUT_BOUND, 1.0)] * len(names)
        self.stack: list[int] = []  # primitives without a user
        self.used: set[int] = set()  # inputs with one
        self.min_inputs = min_inputs
        self.left = length

    def choices(self) -> dict[str, list[Operands]]:
        """The primitives that fit next, each with its possible operands."""
        found = {name: [args for args in self._operands(name) if self._fits(name, args)] for name in PRIMITIVES}
        return {name: operands for name, operands in found.items() if operands}

    def grow(self, name: str, operands: Sequence[Operands], rng: Random) -> None:
        """Adds primitive `name`; operands that nobody uses yet are preferred, primitives more than inputs."""
        (args,) = rng.choices(operands, [math.prod(map(self._preference, args)) for args in operands])
        self.types.append(self._type(name, args))
        self.bounds.append(self._bound(name, args))
        self.stack = [*self._stack_without(args), len(self.nodes)]
        self.used.update(arg for arg in args if self._is_unused_input(arg))
        self.nodes.append((name, args))
        self.left -= 1

    def _preference(self, node: int) -> float:
        return 8.0 if node in self.stack else 2.0 if self._is_unused_input(node) else 1.0

    def _operands(self, name: str) -> Iterator[Operands]:
        earlier = range(len(self.nodes))
        pairs = product(earlier, repeat=PRIMITIVES[name].arity)
        return (args for args in pairs if not PRIMITIVES[name].commutative or args == tuple(sorted(args)))

    def _fits(self, name: str, args: Operands) -> bool:
        """Whether types and growth allow it, it is not there yet, and the formula can still be finished."""
        result = PRIMITIVES[name].result(*(self.types[arg] for arg in args))
        if result is None or (name, args) in self.nodes:
            return False
        bound = self._bound(name, args)
        if bound.value > MAX_VALUE or bound.slope > MAX_SLOPE:
            return False
        stack = (*(self.types[node] for node in self._stack_without(args)), result)
        needed = self.min_inputs - len(self.used.union(arg for arg in args if self._is_unused_input(arg)))
        return can_finish(stack, frozenset([*self.types, result]), max(needed, 0), self.left - 1)

    def _type(self, name: str, args: Operands) -> Type:
        result = PRIMITIVES[name].result(*(self.types[arg] for arg in args))
        assert result is not None
        return result

    def _bound(self, name: str, args: Operands) -> Bound:
        return PRIMITIVES[name].bound(*(self.bounds[arg] for arg in args))

    def _is_unused_input(self, node: int) -> bool:
        return not self.nodes[node][1] and node not in self.used

    def _stack_without(self, args: Operands) -> list[int]:
        stack = self.stack
        for arg in reversed(args):
            stack = stack[:-1] if stack[-1:] == [arg] else stack
        return stack


@cache
def can_finish(stack: tuple[Type, ...], known: frozenset[Type], needed: int, left: int) -> bool:
    """
    Whether `left` more primitives can turn the `stack` of unused nodes into the formula's one result and use `needed`
    more inputs; `known`: the types of all nodes. By types alone: growth and repeated nodes do not count here.
    """
    if left == 0:
        return stack == (RESULT,) and needed == 0
    if len(stack) > left + 1:
        return False
    return any(can_finish(*after, left - 1) for after in _after_one_more(stack, known, needed))


def _after_one_more(
    stack: tuple[Type, ...], known: frozenset[Type], needed: int
) -> set[tuple[tuple[Type, ...], frozenset[Type], int]]:
    """Each operand is taken from the top of the stack, or is another node of a known type, best a new input."""
    found = set()
    for primitive in PRIMITIVES.values():
        for taken in product((False, True), repeat=primitive.arity):
            number = sum(taken)
            if number > len(stack):
                continue
            for others in product(known, repeat=primitive.arity - number):
                top, rest = iter(stack[len(stack) - number :]), iter(others)
                operands = [next(top) if take else next(rest) for take in taken]
                result = primitive.result(*operands)
                if result is not None:
                    inputs = sum(other == RESULT for other in others)
                    kept = stack[: len(stack) - number]
                    found.add(((*kept, result), known | {result}, max(needed - inputs, 0)))
    return found
