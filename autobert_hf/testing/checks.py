"""
What every space and every searcher keeps, as checks that raise AssertionError. Ours pass them; hold your own to them:

    def test_my_space(): check_space(MySpace(), AutoBertConfig(hidden_size=32, ...))
    def test_my_searcher(): check_searcher(lambda seed: MySearcher(space, goals, seed), space)
"""

import json
from collections.abc import Callable, Hashable, Sequence
from random import Random

from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.loop import Searcher
from autobert_hf.searchers.spaces.formulas import uniform
from autobert_hf.searchers.spaces.space import Space


def check_space(space: Space, base: AutoBertConfig, seeds: int = 20) -> None:
    """
    Closed under sampling, mutation and crossover; the same seed gives the same network; a network is the same thing
    as JSON, has a configuration on top of `base`, and is none larger than `largest()`.
    """
    most = count_parameters(space.largest().to_config(base))
    for name, corner in (("largest", space.largest()), ("smallest", space.smallest())):
        assert space.contains(corner), f"the {name} network is not in the space"
    for seed in range(seeds):
        one, other = space.sample(Random(seed)), space.sample(Random(seeds + seed))
        assert one == space.sample(Random(seed)), f"seed {seed} gives two networks"
        rng = Random(seed)
        found = [one, space.mutate(one, rng), space.crossover(one, other, rng)]
        again = Random(seed)
        assert found[1:] == [space.mutate(one, again), space.crossover(one, other, again)], (
            f"seed {seed}: not replayed"
        )
        assert found[1] != one, f"seed {seed}: the mutant is its parent"
        for network in found:
            assert space.contains(network), f"seed {seed} leads out of the space: {network}"
            again_from_json = Architecture.from_json(json.loads(json.dumps(network.to_json())))
            assert again_from_json == network, f"seed {seed}: another network as JSON: {again_from_json}"
            assert count_parameters(network.to_config(base)) <= most, (
                f"seed {seed}: larger than the largest: {network}"
            )
            positions = [position for position, _ in space.genes(network)]
            assert positions, f"seed {seed}: a network without genes"
        check_guide(space, one, seed)


def check_guide(space: Space, parent: Architecture, seed: int) -> None:
    """Whoever chooses as `uniform` does changes nothing, and is asked."""
    asked: list[Hashable] = []

    def draw(position: Hashable, choices: Sequence, rng: Random) -> object:
        asked.append(position)
        return uniform(position, choices, rng)

    child = space.mutate(parent, Random(seed), draw)
    assert child == space.mutate(parent, Random(seed)), f"seed {seed}: choices that no guide is asked for"
    assert asked, f"seed {seed}: no guide was asked"


def check_searcher(make: Callable[[int], Searcher], rounds: int = 3) -> None:
    """
    Proposals depend on the seed, the trial's number and the rounds told, on nothing else; a failed trial is no parent;
    a round has at least one trial.
    """
    history = play(make(0), rounds)
    assert history == play(make(0), rounds), "one seed, two searches"
    assert history != play(make(1), rounds), "two seeds, one search"
    failed = {trial.id for trial in history if not trial.ok}
    assert not failed & {trial.proposal.parent for trial in history}, "a failed trial has children"


def play(searcher: Searcher, rounds: int) -> list[Trial]:
    """Every third trial fails; the others are scored by their number, so that no two are equal."""
    history: list[Trial] = []
    for _ in range(rounds):
        size = searcher.round_size()
        assert size >= 1, "an empty round"
        told = [trial_of(searcher.ask(len(history) + place), len(history) + place) for place in range(size)]
        searcher.tell(told)
        history += told
        assert all(trial.ok for trial in searcher.survivors()), "a failed trial survives"
    return history


def trial_of(proposal: Proposal, number: int) -> Trial:
    if number % 3 == 2:
        return Trial(number, proposal, 0, status="failed", reason="every third one does")
    scores = {"loss": 1.0 + 0.37 * number % 1, "parameters": 1000 + number, "flops": 1e6, "latency": 0.5}
    return Trial(number, proposal, 0, scores)
