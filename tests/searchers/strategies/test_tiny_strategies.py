"""Roulette, alternation over limits, lists, the fast rule and windows, on latencies that are made up."""

from collections import Counter
from random import Random

import pytest

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.tiny import best_default, deepest_cut, default_rules
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.restricted import EmptyError, Restricted
from autobert_hf.searchers.strategies.fast_rule import fast_rule, keeps_rule
from autobert_hf.searchers.strategies.fixed_list import Listed
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import Roulette
from autobert_hf.searchers.strategies.round_robin import Alternating


SPACE = AutoTinyBertSpace(range(1, 5), range(16, 65, 4), range(16, 257, 8), range(4, 5), range(4, 17))
GOALS = Goals.of({})


def latency(architecture: Architecture) -> float:
    sizes, depth = dict(architecture.settings), len(architecture.layers)
    attention = sizes["num_attention_heads"] * sizes["head_dim"]
    return (
        depth * sizes["hidden_size"] * (4 * attention + 2 * sizes["intermediate_size"]) / 4 / 64 / (4 * 64 + 2 * 256)
    )


def loss(architecture: Architecture) -> float:
    sizes = dict(architecture.settings)
    return 1 / len(architecture.layers) + 1 / sizes["hidden_size"] + 1 / sizes["intermediate_size"]


def within(low: float, high: float) -> Restricted:
    return Restricted(SPACE, lambda architecture: low <= latency(architecture) <= high)


def search(searcher, number: int) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < number:
        asked = [searcher.ask(len(trials) + at) for at in range(searcher.round_size())]
        done = [Trial(len(trials) + at, one, 0, {"loss": loss(one.architecture)}) for at, one in enumerate(asked)]
        searcher.tell(done)
        trials += done
    return trials


def test_a_restricted_space_draws_mutates_and_crosses_inside():
    space, rng = within(0.2, 0.3), Random(0)
    found = [space.sample(rng) for _ in range(20)]
    found += [space.mutate(one, rng) for one in found] + [space.crossover(*found[:2], rng)]
    assert all(space.contains(one) and 0.2 <= latency(one) <= 0.3 for one in found)
    assert not space.contains(SPACE.largest())
    with pytest.raises(EmptyError, match="None of 10,000 random networks"):
        within(2, 3).sample(rng)


def test_roulette_stays_in_the_window_repeats_nothing_and_explores_half_of_the_time():
    trials = search(Roulette(within(0.2, 0.3), GOALS, 0, population=20), 400)
    assert all(0.2 <= latency(trial.architecture) <= 0.3 for trial in trials)
    assert len({trial.architecture for trial in trials}) == 400
    made = Counter(trial.proposal.mutation for trial in trials[20:])
    assert all(trial.proposal.parent is None for trial in trials[:20])
    assert 0.4 < made["mutate"] / 380 < 0.6


def test_parents_are_the_best_of_all_and_the_worst_of_them_is_never_drawn():
    searcher = Roulette(within(0.2, 0.3), GOALS, 0, population=10)
    trials = search(searcher, 30)
    best = sorted(trials, key=lambda trial: trial.scores["loss"])[:10]
    assert {trial.id for trial in searcher.parents} == {trial.id for trial in best}
    weights = searcher.weights()
    wanted = [best[-1].scores["loss"] - trial.scores["loss"] for trial in searcher.parents]
    assert weights == pytest.approx(wanted)
    drawn = {searcher.ask(number).parent for number in range(1000, 1200)} - {None}
    assert drawn <= {trial.id for trial in best[:-1]}


def test_roulette_finds_more_than_chance():
    space = within(0.2, 0.3)
    guided, blind = (min(t.scores["loss"] for t in search(kind(space, GOALS, 1, 20, 20, 1), 120))
                     for kind in (Roulette, RandomSearch))  # fmt: skip
    assert guided <= blind


def test_alternating_searchers_share_what_was_evaluated():
    limits = [(0.4, 0.5), (0.1, 0.15)]
    searchers = [Roulette(within(*limit), GOALS, 0, population=5) for limit in limits]
    trials = search(Alternating(searchers), 40)
    for trial in trials:
        low, high = limits[trial.id // 5 % 2]
        assert low <= latency(trial.architecture) <= high
    assert [len(searcher.history) for searcher in searchers] == [40, 40]
    for searcher, (low, high) in zip(searchers, limits, strict=True):
        assert all(low <= latency(parent.architecture) <= high for parent in searcher.parents)


def test_a_list_is_asked_in_order():
    architectures = [SPACE.sample(Random(number)) for number in range(7)]
    listed = Listed(architectures, GOALS, 0, round=3)
    assert [listed.ask(number).architecture for number in range(7)] == architectures


def test_the_fast_rule_takes_the_slowest_of_each_depth_within_the_limit():
    found = fast_rule(SPACE, latency, [0.2])
    assert len({len(one.layers) for one in found}) == len(found) > 2
    for one in found:
        assert keeps_rule(one)
        assert latency(one) <= 0.2
        better = [other for other in SPACE.enumerate() if len(other.layers) == len(one.layers) and keeps_rule(other)]
        assert latency(one) == max(latency(other) for other in better if latency(other) <= 0.2)


@pytest.mark.parametrize(("inner", "dim", "kept"), [(80, 8, True), (79, 8, False), (96, 8, False), (90, 13, False)])
def test_the_rule_of_the_paper(inner: int, dim: int, kept: bool):
    sizes = {"hidden_size": 50, "intermediate_size": inner, "num_attention_heads": 5, "head_dim": dim}
    assert keeps_rule(Architecture.of([{"layer_type": "full_attention"}], **sizes)) == kept


def test_default_rule_networks_have_berts_proportions():
    for one in default_rules(SPACE):
        sizes = dict(one.settings)
        assert sizes["intermediate_size"] == 4 * sizes["hidden_size"]
        assert sizes["num_attention_heads"] * sizes["head_dim"] == sizes["hidden_size"]
    chosen = best_default(SPACE, latency, 0.3, loss)
    assert chosen is not None
    assert latency(chosen) <= 0.3
    assert best_default(SPACE, latency, 1e-6, loss) is None


def test_the_deepest_cut_keeps_the_width():
    cut = deepest_cut(SPACE, latency, 0.6)
    assert cut is not None
    assert (len(cut.layers), dict(cut.settings)["hidden_size"]) == (2, 64)
    assert deepest_cut(SPACE, latency, 0.2) is None
