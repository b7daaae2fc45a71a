"""What a searcher may ask of a space."""

from collections.abc import Hashable
from random import Random
from typing import Protocol

from autobert_hf.searchers.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform


class Space(Protocol):
    """
    What may vary. `genes` says what each position of an architecture holds; a guided searcher hands `mutate` a `draw`
    of its own, which is asked `(position, choices, rng)` wherever something is chosen.
    """

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]: ...
    def sample(self, rng: Random) -> Architecture: ...
    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture: ...
    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture: ...
    def contains(self, architecture: Architecture) -> bool: ...
    def largest(self) -> Architecture: ...
