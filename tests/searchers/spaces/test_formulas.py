"""Random and mutated formulas: always legal, never all the same, and guided where somebody guides."""

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf.modeling.formula import check_formula, format_formula, parse_formula, path
from autobert_hf.modeling.formula_primitives import INPUTS, PRIMITIVES
from autobert_hf.modeling.graph import Graph, GraphError, Node, canonicalize, types
from autobert_hf.searchers.spaces import formulas
from autobert_hf.searchers.spaces.formulas import OPERATIONS, FormulaSampler, SpaceError


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


class Guide:
    """Prefers `wanted` where it is offered, and remembers what it was asked and answered last."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = wanted
        self.offered: set[tuple[int, str]] = set()
        self.answers: list[tuple[int, str]] = []

    def __call__(self, position: Hashable, choices: Sequence, rng: Random) -> object:
        (_, place) = position
        self.offered.update((place, choice) for choice in choices)
        answer = next((choice for choice in self.wanted if choice in choices), None) or rng.choice(choices)
        self.answers.append((place, answer))
        return answer


class Untried(Guide):
    """Prefers what it has not answered at this position, as OP-NAS does."""

    def __call__(self, position: Hashable, choices: Sequence, rng: Random) -> object:
        untried = [choice for choice in choices if (position[1], choice) not in self.answers]
        self.wanted = (rng.choice(untried),) if untried else ()
        return super().__call__(position, choices, rng)


def test_a_guided_mutant_has_what_was_chosen_where_it_was_asked_for() -> None:
    """Changing operands or leaving something out never adds an operation; what is added is what was drawn."""
    sampler, changed = FormulaSampler(), set()
    for seed in range(200):
        guide = Guide("softsign")
        mutant = sampler.mutate(STANDARD, Random(seed), guide)
        gains = set(Counter(path(mutant)) - Counter(path(STANDARD)))
        assert len(guide.answers) <= 1
        for position, operation in guide.answers:
            assert path(mutant)[position] == operation
            changed.add(position)
        assert gains <= {operation for _, operation in guide.answers}
    assert changed == set(range(len(path(STANDARD))))


def test_position_0_of_a_path_can_be_mutated() -> None:
    """As long as matmul came first there, which cannot stand on inputs, no guided replacement was ever accepted."""
    operations = {path(FormulaSampler().mutate(STANDARD, Random(seed), Guide("matmul")))[0] for seed in range(300)}
    assert len(operations) >= 5


@pytest.mark.parametrize("wanted", [(), *((name,) for name in OPERATIONS)])
def test_a_guided_formula_has_the_path_that_was_chosen(wanted: tuple[str, ...]) -> None:
    """Whatever the guide prefers, and without running out of attempts."""
    sampler = FormulaSampler()
    for seed in range(25):
        guide = Guide(*wanted)
        graph = sampler.sample(Random(seed), guide)
        assert_legal(graph, sampler)
        assert path(graph) == tuple(operation for _, operation in guide.answers[-len(path(graph)) :])
        assert [position for position, _ in guide.answers[-len(path(graph)) :]] == [*range(len(path(graph)))]
    assert sampler.drawn.total() < 25 * 20, "far from the limit of attempts"


def test_every_legal_choice_at_every_position_is_offered_and_nothing_else() -> None:
    """The legal ones are those of all formulas of at most three primitives over two inputs, listed one by one."""
    sampler, guide = FormulaSampler(1, 3), Untried()
    legal = {gene for graph in all_formulas(sampler) for gene in enumerate(path(graph))}
    assert (0, "matmul") not in legal and len(legal) > 15
    for seed in range(900):
        sampler.sample(Random(seed), guide)
    assert guide.offered == legal
    assert set(guide.answers) == legal


def all_formulas(sampler: FormulaSampler) -> set[Graph]:
    """Every formula of the sampler over two inputs, by every primitive on every pair of nodes."""
    found, layer = set(), [[("q", ()), ("k", ())]]
    for _ in range(sampler.max_path):
        layer = [
            [*nodes, (operation, args)]
            for nodes in layer
            for operation in OPERATIONS
            for args in product(range(len(nodes)), repeat=PRIMITIVES[operation].arity)
            if (operation, args) not in nodes and types_fit([*nodes, (operation, args)])
        ]
        graphs = {canonicalize(nodes, len(nodes) - 1, PRIMITIVES) for nodes in layer}
        found |= {graph for graph in graphs if sampler.contains(graph)}
    return found


def types_fit(nodes: list[Node]) -> bool:
    try:
        return bool(types(nodes, PRIMITIVES, INPUTS))
    except GraphError:
        return False


def test_in_the_whole_space_all_but_matmul_on_inputs_is_offered() -> None:
    sampler, guide = FormulaSampler(3, 5), Untried()
    for seed in range(500):
        sampler.sample(Random(seed), guide)
    expected = {(place, name) for place in range(5) for name in OPERATIONS} - {(0, "matmul")}
    assert guide.offered == set(guide.answers) == expected


def test_without_choices_a_mutation_can_be_left_out() -> None:
    """With `guided_only`, each mutant of a guide holds something that the guide chose."""
    sampler = FormulaSampler(guided_only=True)
    for seed in range(50):
        guide = Guide()
        sampler.mutate(STANDARD, Random(seed), guide)
        assert len(guide.answers) == 1


def test_where_no_choice_leads_to_a_formula_the_guide_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = FormulaSampler()
    monkeypatch.setattr(FormulaSampler, "_grown", lambda sampler, rng, draw: None)
    assert_legal(sampler.sample(Random(0), Guide()), sampler)


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
        sampler._until_legal(lambda: chain)
    assert sampler.drawn == {"path length": 30}
