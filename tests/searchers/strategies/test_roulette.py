"""The roulette of AutoTinyBERT, alone and by turns with others, on latencies that are made up."""

from collections import Counter

import pytest

from autobert_hf.records.goals import Goals
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import GenerationRoulette, Roulette
from autobert_hf.searchers.strategies.round_robin import RoundRobin

from ..made_up import latency, loss, search, within


LOSS = Goals.named("loss")


def test_roulette_stays_in_the_window_repeats_nothing_and_explores_half_of_the_time():
    trials = search(Roulette(within(0.2, 0.3), LOSS, 0, population=20), 400)
    assert all(0.2 <= latency(trial.architecture) <= 0.3 for trial in trials)
    assert len({trial.architecture for trial in trials}) == 400
    made = Counter(trial.proposal.mutation for trial in trials[20:])
    assert all(trial.proposal.parent is None for trial in trials[:20])
    assert 0.4 < made["mutate"] / 380 < 0.6


def test_parents_are_the_best_of_all_and_the_worst_of_them_is_never_drawn():
    strategy = Roulette(within(0.2, 0.3), LOSS, 0, population=10)
    trials = search(strategy, 30)
    best = sorted(trials, key=lambda trial: trial.scores["loss"])[:10]
    assert {trial.id for trial in strategy.selected} == {trial.id for trial in best}
    wanted = [best[-1].scores["loss"] - trial.scores["loss"] for trial in strategy.selected]
    assert strategy.weights() == pytest.approx(wanted)
    drawn = {strategy.ask(number).parent for number in range(1000, 1200)} - {None}
    assert drawn <= {trial.id for trial in best[:-1]}


def test_the_papers_generations_hold_new_ones_mutants_and_survivors():
    """Half of a generation is new, a quarter mutated, and a quarter is known already and not evaluated again."""
    strategy = GenerationRoulette(within(0.2, 0.3), LOSS, 0, population=40)
    trials, sizes, parents, generation = [], [], [], set()
    for _ in range(6):
        sizes.append(strategy.round_size())
        asked = [strategy.ask(len(trials) + at) for at in range(sizes[-1])]
        parents += [proposal.parent for proposal in asked if proposal.parent is not None]
        assert {proposal.parent for proposal in asked} - {None} <= generation, "of the last generation alone"
        told = [Trial(len(trials) + at, one, 0, {"loss": loss(one.architecture)}) for at, one in enumerate(asked)]
        generation = {trial.id for trial in [*strategy.kept, *told]}
        trials += told
        strategy.tell(trials)
        assert len(strategy.plan) + len(strategy.kept) == 40
    assert sizes[0] == 40 and all(20 <= size < 40 for size in sizes[1:])
    made = Counter(trial.proposal.mutation for trial in trials[40:])
    assert 0.5 < made["sample"] / made.total() < 0.8
    assert 0.15 < len(parents) / (40 * 5) < 0.35


def test_of_the_papers_generations_each_limit_has_its_own():
    limits = [(0.4, 0.5), (0.1, 0.15)]
    strategies = [GenerationRoulette(within(*limit), LOSS, 0, population=6) for limit in limits]
    trials = search(RoundRobin(strategies), 40)
    by_id = {trial.id: trial for trial in trials}
    for trial in trials:
        if trial.proposal.parent is not None:
            latencies = [latency(one.architecture) for one in (trial, by_id[trial.proposal.parent])]
            assert any(all(low <= time <= high for time in latencies) for low, high in limits)
    assert any(trial.proposal.parent is not None for trial in trials)


def test_roulette_finds_more_than_chance():
    space = within(0.2, 0.3)
    guided, blind = (
        min(trial.scores["loss"] for trial in search(kind(space, LOSS, 1, 20, 20, 1), 120))
        for kind in (Roulette, RandomSearch)
    )
    assert guided <= blind


def test_strategies_that_take_turns_share_what_was_evaluated():
    limits = [(0.4, 0.5), (0.1, 0.15)]
    strategies = [Roulette(within(*limit), LOSS, 0, population=5) for limit in limits]
    trials = search(RoundRobin(strategies), 40)
    for trial in trials:
        low, high = limits[trial.id // 5 % 2]
        assert low <= latency(trial.architecture) <= high
    assert [len(strategy.history) for strategy in strategies] == [40, 40]
    assert all({trial.architecture for trial in trials} <= strategy.seen for strategy in strategies)
    for strategy, (low, high) in zip(strategies, limits, strict=True):
        assert all(low <= latency(parent.architecture) <= high for parent in strategy.selected)
