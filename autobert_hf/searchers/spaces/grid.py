"""A user-defined space: names, and the values of each."""

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import Draw, uniform


Scalar = str | int | float | bool | None


class GridSpace:
    """
    Every combination of the choices, e.g. `GridSpace(layers=[2, 4, 6], width=[64, 128])`. Architectures have
    settings and no layers: `architecture["width"]`. If the names are fields of `AutoBertConfig`, they are networks.

    Raises:
        ValueError: for a name without choices, a repeated choice, or one that JSON cannot represent.
    """

    def __init__(self, /, **choices: Sequence[Scalar]) -> None:
        if not choices:
            raise ValueError("GridSpace has no names: give at least one with its choices, such as layers=[2, 4].")
        self.choices: Mapping[str, tuple[Scalar, ...]] = {
            name: _checked(name, values) for name, values in choices.items()
        }

    def __repr__(self) -> str:
        return f"GridSpace({', '.join(f'{name}={[*values]}' for name, values in self.choices.items())})"

    @property
    def size(self) -> int:
        return math.prod(map(len, self.choices.values()))

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, generated lazily; the last name changes fastest."""
        for values in product(*self.choices.values()):
            yield self._build(dict(zip(self.choices, values, strict=True)))

    def genes(self, architecture: Architecture) -> list[tuple[Hashable, object]]:
        """The names with their values."""
        return [(name, architecture[name]) for name in self.choices]

    def sample(self, rng: Random) -> Architecture:
        return self._build({name: rng.choice(values) for name, values in self.choices.items()})

    def mutate(self, architecture: Architecture, rng: Random, draw: Draw = uniform) -> Architecture:
        """Changes the value of one name; names with a single choice never change."""
        free = [name for name, values in self.choices.items() if len(values) > 1]
        if not free:
            return architecture
        name = rng.choice(free)
        others = [value for value in self.choices[name] if value != architecture[name]]
        return self._build(dict(architecture) | {name: draw(name, others, rng)})

    def crossover(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Each value from either parent."""
        return self._build({name: rng.choice((one, other))[name] for name in self.choices})

    def contains(self, architecture: Architecture) -> bool:
        return (
            not architecture.layers
            and {*architecture.keys()} == {*self.choices}
            and all(architecture[name] in values for name, values in self.choices.items())
        )

    def smallest(self) -> Architecture:
        """The smallest of numbers, the first of other choices."""
        return self._build({name: sorted(values, key=_size)[0] for name, values in self.choices.items()})

    def largest(self) -> Architecture:
        """The largest of numbers, the last of other choices."""
        return self._build({name: sorted(values, key=_size)[-1] for name, values in self.choices.items()})

    def _build(self, values: Mapping[str, Any]) -> Architecture:
        return Architecture.of([], **values)


def _checked(name: str, values: Sequence[Scalar]) -> tuple[Scalar, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise ValueError(f"{name} is {values!r}: give a list of choices, such as {name}=[{values!r}].")
    if not values:
        raise ValueError(f"{name} has no choices: give at least one.")
    for value in values:
        is_number = isinstance(value, int | float) and math.isfinite(value)
        if not (is_number or value is None or isinstance(value, str)):
            raise ValueError(f"{name} holds {value!r}: choices are finite numbers, texts, True, False or None.")
    twice = [value for value, number in Counter(values).items() if number > 1]
    if twice:
        raise ValueError(f"{name} holds {json.dumps(twice[0])} twice: give every choice once.")
    return tuple(values)


def _size(value: Scalar) -> float:
    """Sort key: a number itself, 0 for anything else, which therefore keeps its order."""
    return value if isinstance(value, int | float) else 0
