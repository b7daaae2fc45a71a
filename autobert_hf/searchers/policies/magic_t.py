"""MAGIC-T (Xu et al., 2022): consecutive sub-networks differ in few operations, so that their gradients agree more."""

from dataclasses import dataclass, field
from random import Random

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Stateless
from autobert_hf.searchers.spaces.space import Space


@dataclass
class MagicT(Stateless):
    """
    A random walk: from step to step `changes` layers, drawn at random, get another operation than they have. All
    shards of a step train the same architecture. `lazy`: a layer may also keep its operation. It has to where each
    layer has two operations, or the walk would alternate between two halves of the space.

    The walk follows from the seed alone: a step's architecture does not depend on which steps were asked for before.

    Raises:
        ValueError: if no, or more layers should change than there are.
    """

    space: Space
    seed: int
    changes: int = 1
    lazy: bool = False
    # The last step that was asked for, and its architecture, so that a walk is not repeated from its start.
    _at: tuple[int, Architecture] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        layers = len(self._start().layers)
        if not 1 <= self.changes <= layers:
            raise ValueError(f"{self.changes} of {layers} layers should change at a step: give 1 to {layers}.")

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        before, architecture = self._at if self._at and self._at[0] <= step else (0, self._start())
        for number in range(before + 1, step + 1):
            architecture = self._next(number, architecture)
        self._at = step, architecture
        return [architecture]

    def _start(self) -> Architecture:
        return self.space.sample(Random(derive(self.seed, 0, "magic-t")))

    def _next(self, step: int, architecture: Architecture) -> Architecture:
        rng = Random(derive(self.seed, step, "magic-t"))
        for index in rng.sample(range(len(architecture.layers)), self.changes):
            architecture = self._changed(architecture, index, rng)
        return architecture

    def _changed(self, architecture: Architecture, index: int, rng: Random) -> Architecture:
        """With the layer `index` of another network of the space, drawn until it is another one."""
        while True:
            layer = self.space.sample(rng).layer_dicts[index]
            child = architecture.replace(index, layer)
            if self.lazy or child != architecture:
                return child
