"""Conformance checks for spaces."""

import json
from collections.abc import Hashable, Sequence
from random import Random

from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.formulas import uniform
from autobert_hf.searchers.spaces.space import Space


def check_space(space: Space, base: AutoBertConfig | None = None, seeds: int = 20) -> None:
    """
    The space is closed under sampling, mutation and crossover; the same seed gives the same architecture, which
    survives a round trip through JSON. With `base`, every architecture has a configuration on top of it, and none is
    larger than `largest()`; without `base`, architectures may be settings of anything.

    Raises:
        AssertionError: if a rule is broken.
    """
    for name, corner in (("largest", space.largest()), ("smallest", space.smallest())):
        assert space.contains(corner), f"the {name} architecture is not in the space"
    for seed in range(seeds):
        one, other = space.sample(Random(seed)), space.sample(Random(seeds + seed))
        assert one == space.sample(Random(seed)), f"seed {seed} gives two architectures"
        found = [space.mutate(one, Random(seed)), space.crossover(one, other, Random(seed))]
        again = [space.mutate(one, Random(seed)), space.crossover(one, other, Random(seed))]
        assert found == again, f"seed {seed} gives two mutants, or two children of the same parents"
        assert found[0] != one, f"seed {seed}: the mutant is its parent"
        for architecture in [one, *found]:
            _check_member(space, architecture, seed)
            if base is not None:
                _check_size(space, architecture, base)
        _check_guide(space, one, seed)


def _check_member(space: Space, architecture: Architecture, seed: int) -> None:
    assert space.contains(architecture), f"seed {seed} leads out of the space: {architecture}"
    from_json = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert from_json == architecture, f"seed {seed}: another architecture after a round trip through JSON: {from_json}"
    assert hash(from_json) == hash(architecture), f"seed {seed}: equal architectures with unequal hashes"
    assert space.genes(architecture), f"seed {seed}: an architecture without genes"


def _check_size(space: Space, architecture: Architecture, base: AutoBertConfig) -> None:
    most = count_parameters(space.largest().to_config(base))
    assert count_parameters(architecture.to_config(base)) <= most, f"larger than the largest: {architecture}"


def _check_guide(space: Space, parent: Architecture, seed: int) -> None:
    """
    A `draw` is called in some mutation, with choices; the same draws give the same mutant, which is in the space. What
    one mutation leaves to chance, such as an operand of a formula, another may ask for.
    """
    asked: list[Hashable] = []

    def draw(position: Hashable, choices: Sequence, rng: Random) -> object:
        assert choices, f"seed {seed}: position {position} has no choices"
        asked.append(position)
        return uniform(position, choices, rng)

    for number in range(seed, seed + 20):
        child, again = (space.mutate(parent, Random(number), draw) for _ in range(2))
        assert child == again, f"seed {seed}: the mutant depends on more than `draw`"
        assert space.contains(child), f"seed {seed}: draws lead out of the space: {child}"
        if asked:
            return
    raise AssertionError(f"seed {seed}: mutate never calls its draw")
