"""Random and mutated formulas: always legal, never all the same, and guided where somebody guides."""

from collections import Counter
from collections.abc import Hashable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf.modeling.formula import check_formula, format_formula, parse_formula, path
from autobert_hf.modeling.formula_primitives import PRIMITIVES
from autobert_hf.modeling.graph import Graph
from autobert_hf.searchers.spaces import formulas
from autobert_hf.searchers.spaces.formulas import GUIDED_ATTEMPTS, OPERATIONS, FormulaSampler, SpaceError, uniform


SEEDS = st.integers(0, 2**32)
STANDARD = parse_formula("softmax(q @ k.T / sqrt(d)) @ v")


def inputs(graph: Graph) -> set[str]:
    return {name for name, args in graph.nodes if not args}


def assert_legal(graph: Graph, sampler: FormulaSampler) -> None:
    check_formula(graph)
    assert sampler.min_path <= len(path(graph)) <= sampler.max_path
    assert sampler.min_inputs <= len(inputs(graph)) <= 4
    assert sampler.contains(graph)
    assert parse_formula(format_formula(graph)) == graph


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(0, 6), st.integers(1, 3))
def test_what_is_drawn_is_legal(seed: int, shortest: int, room: int, min_inputs: int) -> None:
    sampler = FormulaSampler(shortest, shortest + room + 2, min_inputs)
    assert_legal(sampler.sample(Random(seed)), sampler)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_mutants_of_mutants_are_legal_and_new(seed: int) -> None:
    rng, sampler = Random(seed), FormulaSampler()
    graph = sampler.sample(rng)
    for _ in range(8):
        mutant = sampler.mutate(graph, rng)
        assert_legal(mutant, sampler)
        assert mutant != graph
        graph = mutant


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_formula(seed: int) -> None:
    """Whatever was drawn before with the same sampler."""
    first, second = FormulaSampler(), FormulaSampler()
    second.sample(Random(seed + 1))
    graphs = [sampler.sample(Random(seed)) for sampler in (first, second)]
    assert graphs[0] == graphs[1]
    assert first.mutate(graphs[0], Random(seed)) == second.mutate(graphs[0], Random(seed))


def test_draws_reach_everything() -> None:
    sampler = FormulaSampler()
    graphs = [sampler.sample(Random(seed)) for seed in range(150)]
    assert {operation for graph in graphs for operation in path(graph)} == set(PRIMITIVES)
    assert {name for graph in graphs for name in inputs(graph)} == set("qkvp")
    assert {len(inputs(graph)) for graph in graphs} == {2, 3, 4}
    assert {len(path(graph)) for graph in graphs} >= set(range(3, 10)), "the longest are rare"
    assert len(set(graphs)) > 145


def test_mutation_lengthens_shortens_rewires_and_replaces() -> None:
    sampler = FormulaSampler()
    mutants = {sampler.mutate(STANDARD, Random(seed)) for seed in range(300)}
    steps = Counter(len(path(mutant)) - len(path(STANDARD)) for mutant in mutants)
    assert set(steps) >= {-1, 0, 1}
    assert any(path(mutant) == path(STANDARD) for mutant in mutants), "other operands only"
    assert any("p" in inputs(mutant) for mutant in mutants), "an input that the parent did not have"


def test_only_the_guide_brings_new_operations() -> None:
    """Changing operands or leaving something out never adds an operation; what is added is what was drawn."""
    sampler, asked = FormulaSampler(), set()

    def guide(position: Hashable, choices: Sequence, rng: Random) -> object:
        asked.add((position, tuple(choices)))
        return "softsign"

    gains = set()
    for seed in range(200):
        mutant = sampler.mutate(STANDARD, Random(seed), guide)
        gains |= set(Counter(path(mutant)) - Counter(path(STANDARD)))
    assert gains == {"softsign"}
    assert asked == {(("path", position), OPERATIONS) for position in range(len(path(STANDARD)))}


def test_a_guide_that_leads_nowhere_gives_way() -> None:
    """Of cosines alone no formula can be made; without the plain draw the search would end here."""
    sampler = FormulaSampler()
    graph = sampler.sample(Random(0), lambda position, choices, rng: "cosine")
    assert_legal(graph, sampler)
    assert sum(sampler.drawn.values()) > GUIDED_ATTEMPTS


def test_refusals_are_counted_by_reason() -> None:
    sampler = FormulaSampler()
    for seed in range(100):
        sampler.sample(Random(seed))
    assert sampler.drawn["accepted"] == 100
    assert set(sampler.drawn) >= {"too few inputs", "path length", "operand shapes", "output shape", "accepted"}
    # Measured: about 28 draws for one that is legal, half of them with too few inputs left after canonicalizing.
    assert 0.90 < 1 - 100 / sampler.drawn.total() < 0.99


def test_what_the_limits_exclude_is_not_contained() -> None:
    assert FormulaSampler(5, 5).contains(parse_formula("softmax(q @ k.T / sqrt(d)) @ v"))
    assert not FormulaSampler(6, 9).contains(STANDARD)
    assert not FormulaSampler(1, 4).contains(STANDARD)
    assert not FormulaSampler(1, 9, min_inputs=4).contains(STANDARD)
    assert not FormulaSampler(1, 9).contains(parse_formula("softmax(q @ q.T) @ q"))


def test_limits_that_nothing_meets_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formulas, "MAX_ATTEMPTS", 200)
    with pytest.raises(SpaceError, match=r"No legal formula of 1 to 2 primitives in 200 draws \(.*\): widen the path"):
        FormulaSampler(1, 2, min_inputs=4).sample(Random(0))


def test_more_nodes_than_a_graph_may_have_are_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formulas, "MAX_ATTEMPTS", 30)
    sampler = FormulaSampler(60, 64)
    chain = [("q", ()), ("k", ()), ("add", (0, 1)), *(("neg", (position,)) for position in range(2, 65))]
    with pytest.raises(SpaceError):
        sampler._until_legal(lambda guide: chain, uniform)
    assert sampler.drawn == {"path length": 30}
