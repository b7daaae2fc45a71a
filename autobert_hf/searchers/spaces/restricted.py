"""A part of a space that fulfils a condition, such as a latency window."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.formulas import Draw, uniform


TRIES = 10_000
GUIDED_TRIES = 500  # a guide may want what is never allowed, such as an untried size beyond the limit


class EmptyError(ValueError):
    """(Almost) no architecture of the space is allowed."""


@dataclass(frozen=True)
class RestrictedSpace:
    """
    The architectures of `space` that are `allowed`. Draws are repeated until one is; EmptyError after `TRIES` draws.
    """

    space: AutoTinyBertSpace
    allowed: Callable[[Architecture], bool]

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        return self.space.genes(architecture)

    def sample(self, rng: Random) -> Architecture:
        return self._until_allowed(lambda: self.space.sample(rng))

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        guides = chain(repeat(draw, GUIDED_TRIES), repeat(uniform))
        return self._until_allowed(lambda: self.space.mutate(architecture, rng, next(guides)))

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        return self._until_allowed(lambda: self.space.crossover(one, other, rng))

    def contains(self, architecture: Architecture) -> bool:
        return self.space.contains(architecture) and self.allowed(architecture)

    def smallest(self) -> Architecture:
        return self.space.smallest()

    def largest(self) -> Architecture:
        return self.space.largest()

    def enumerate(self) -> Iterator[Architecture]:
        return filter(self.allowed, self.space.enumerate())

    def _until_allowed(self, propose: Callable[[], Architecture]) -> Architecture:
        for _ in range(TRIES):
            if self.allowed(found := propose()):
                return found
        raise EmptyError(
            f"None of {TRIES:,} random networks of the space is allowed: give another limit or finer steps."
        )
