"""Who has children, and what guides them: the strategies on histories that can be checked by hand."""

import math
import os
from collections.abc import Hashable
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goal, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.spaces.autobert_zero import KERNELS, AutoBertZeroSpace
from autobert_hf.searchers.spaces.formulas import OPERATIONS, FormulaSampler
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.strategies.evolution import Evolution
from autobert_hf.searchers.strategies.op_nas import OpNas
from autobert_hf.searchers.strategies.random_search import RandomSearch


SPACE = AutoBertZeroSpace(num_hidden_layers=2)
LOSS = Goals((GOALS["loss"],))


def trial(number: int, loss: float | None, *kernels: int) -> Trial:
    """A network of convolutions, or, without kernels, of standard attention. No loss: it failed."""
    attention = {"layer_type": "full_attention", "attention_formula": "softmax(q @ k.T) @ v"}
    conv = [{"layer_type": "conv", "conv_kernel_size": kernel} for kernel in kernels]
    proposal = Proposal(Architecture.of(conv or [attention] * 2))
    return Trial(number, proposal, 0, {"loss": loss} if loss else {}, status="done" if loss else "failed")


def told(strategy: Evolution, *trials: Trial) -> Evolution:
    strategy.tell(trials)
    return strategy


def op_nas(*trials: Trial, alpha: float = 0.5, temperature: float = 0.5) -> OpNas:
    strategy = OpNas(SPACE, LOSS, seed=0, alpha=alpha, temperature=temperature)
    strategy.tell(trials)
    return strategy


def test_the_bound_by_hand() -> None:
    """Fitness -1, -2, -3, z-scored: 1.2247, 0, -1.2247. Layer 0 saw kernel 3 twice and kernel 5 once."""
    strategy = op_nas(trial(0, 1.0, 3, 7), trial(1, 2.0, 3, 9), trial(2, 3.0, 5, 9), alpha=0.7)
    z = math.sqrt(1.5)
    bounds = strategy.bounds(("kernel", 0), (3, 5, 65))
    assert bounds[0] == pytest.approx((z + 0) / 2 + 0.7 * math.sqrt(2 * math.log(3) / 2))
    assert bounds[1] == pytest.approx(-z + 0.7 * math.sqrt(2 * math.log(3) / 1))
    assert bounds[2] == math.inf
    assert strategy.bounds(("kernel", 1), (3, 7, 9))[0] == math.inf, "each layer has its own kernels"
    assert strategy.bounds(("kernel", 1), (7,))[0] == pytest.approx(z + 0.7 * math.sqrt(2 * math.log(3)))


def test_n_may_count_the_whole_history() -> None:
    """As the paper's N: two convolutions in each of three networks are six operations."""
    trials = trial(0, 1.0, 3, 7), trial(1, 2.0, 3, 9), trial(2, 3.0, 5, 9)
    strategy = OpNas(SPACE, LOSS, seed=0, alpha=0.7, bound_samples="history")
    strategy.tell(trials)
    expected = math.sqrt(1.5) / 2 + 0.7 * math.sqrt(2 * math.log(6) / 2)
    assert strategy.bounds(("kernel", 0), (3,))[0] == pytest.approx(expected)


def test_kernels_may_be_drawn_by_their_frequency() -> None:
    """Layer 0 had kernel 3 twice and 5 once; each counts once more. Paths still follow their bounds."""
    strategy = OpNas(SPACE, LOSS, seed=0, kernel_draws="frequency")
    strategy.tell([trial(0, 1.0, 3, 7), trial(1, 2.0, 3, 9), trial(2, 3.0, 5, 9), trial(3, 4.0)])
    drawn = [strategy.draw(("kernel", 0), (3, 5, 65), Random(seed)) for seed in range(3000)]
    assert [drawn.count(kernel) / 3000 for kernel in (3, 5, 65)] == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.03)
    assert strategy.draw(("path", 0), ("transpose", "neg"), Random(0)) == "neg", "untried operations come first"


def test_crossover_is_an_option_and_off_by_default() -> None:
    """A crossed child has layers of two parents, before one of its layers is mutated."""
    trials = [trial(0, 1.0, 3, 3, 3, 3, 3, 3), trial(1, 2.0, 65, 65, 65, 65, 65, 65)]

    def children(**options: float) -> list[Proposal]:
        space = AutoBertZeroSpace(num_hidden_layers=6)
        strategy = told(Evolution(space, LOSS, seed=0, parents=2, children=20, **options), *trials)
        return [strategy.ask(number) for number in range(2, 42)]

    assert {child.mutation for child in children()} == {"mutate"}
    crossed = children(crossover=1.0)
    assert {child.mutation for child in crossed} == {"crossover"}
    assert {child.parent for child in crossed} == {0, 1}
    both = [{3, 65} <= {layer.get("conv_kernel_size") for layer in one.architecture.layer_dicts} for one in crossed]
    assert sum(both) > 30
    assert {child.mutation for child in children(crossover=0.5)} == {"mutate", "crossover"}


def test_every_attention_layer_adds_a_sample_to_its_positions() -> None:
    """The path of softmax(q @ k.T) @ v is transpose, matmul, softmax, matmul, in two layers each."""
    strategy = op_nas(trial(0, 1.0), trial(1, 2.0, 3, 3))
    assert strategy.tried[("path", 0)] == {"transpose": (1.0, 2)}
    assert strategy.tried[("path", 1)] == strategy.tried[("path", 3)] == {"matmul": (1.0, 2)}
    assert ("path", 4) not in strategy.tried
    assert strategy.bounds(("path", 0), OPERATIONS).count(math.inf) == len(OPERATIONS) - 1
    assert strategy.bounds(("path", 9), OPERATIONS) == [math.inf] * len(OPERATIONS), "longer than any path so far"


def test_untried_choices_come_first_and_are_equal_among_themselves() -> None:
    strategy = op_nas(trial(0, 1.0, 3, 3), trial(1, 2.0, 5, 5))
    drawn = [strategy.draw(("kernel", 0), KERNELS, Random(seed)) for seed in range(500)]
    assert set(drawn) == {7, 9, 15, 31, 65}
    assert all(70 < drawn.count(kernel) < 130 for kernel in set(drawn))


def test_draws_follow_the_softmax_of_the_bounds() -> None:
    strategy = op_nas(trial(0, 1.0, 3, 3), trial(1, 2.0, 3, 5), trial(2, 4.0, 5, 3), temperature=0.8)
    three, five = strategy.bounds(("kernel", 0), (3, 5))
    share = 1 / (1 + math.exp((five - three) / 0.8))
    drawn = [strategy.draw(("kernel", 0), (3, 5), Random(seed)) for seed in range(3000)]
    assert 0.6 < share < 0.95
    assert drawn.count(3) / 3000 == pytest.approx(share, abs=0.03)


def test_the_scale_of_the_scores_does_not_matter() -> None:
    """Scores are z-scored over the history, so that one alpha and one temperature fit any goal."""
    small = op_nas(trial(0, 5.001, 3, 7), trial(1, 5.002, 3, 9), trial(2, 5.004, 5, 9))
    large = op_nas(trial(0, 10.0, 3, 7), trial(1, 20.0, 3, 9), trial(2, 40.0, 5, 9))
    for position in (("kernel", 0), ("kernel", 1)):
        assert small.bounds(position, (3, 5, 7, 9)) == pytest.approx(large.bounds(position, (3, 5, 7, 9)))


def test_equal_scores_and_failures_are_no_trouble() -> None:
    strategy = op_nas(trial(0, 2.0, 3, 3), trial(1, None, 5, 5), trial(2, 2.0, 3, 7))
    assert strategy.tried[("kernel", 0)] == {3: (0.0, 2), 5: (0.0, 1)}
    assert op_nas(trial(0, None, 3, 3)).tried == {("kernel", 0): {3: (0.0, 1)}, ("kernel", 1): {3: (0.0, 1)}}


def test_an_operation_that_only_fails_does_not_come_first_for_ever() -> None:
    """It counts as tried, once for each candidate, with the worst score so far."""
    strategy = op_nas(trial(0, 1.0, 3, 3), trial(1, 3.0, 5, 5), trial(2, None, 7, 7), trial(3, None, 7, 3))
    assert strategy.tried[("kernel", 0)] == {3: (1.0, 1), 5: (-1.0, 1), 7: (-1.0, 2)}
    assert strategy.tried[("kernel", 1)][3] == (1.0, 1), "where another candidate has a score, it alone counts"
    assert math.isfinite(strategy.bounds(("kernel", 0), (7,))[0])


def test_every_operation_that_can_stand_at_a_position_is_tried_soon() -> None:
    """At position 0 too, where OP-NAS used to ask for matmul for ever, which no input fits."""
    space = AutoBertZeroSpace(num_hidden_layers=2, formulas=FormulaSampler(3, 5))
    strategy = OpNas(space, LOSS, seed=0, population=20, parents=4, children=5)
    for _ in range(8):
        size = strategy.round_size()
        first = len(strategy.history)
        asked = [strategy.ask(first + offset) for offset in range(size)]
        told = [Trial(first + i, one, 0, {"loss": 9.0 - (first + i) % 7}) for i, one in enumerate(asked)]
        strategy.tell([*strategy.history, *told])
    legal = {(("path", place), name) for place in range(3) for name in OPERATIONS} - {(("path", 0), "matmul")}
    tried = {(position, operation) for position, at in strategy.tried.items() for operation in at}
    assert legal <= tried
    assert (("path", 0), "matmul") not in tried


def test_survivors_are_the_best_that_did_not_fail() -> None:
    trials = [trial(0, 3.0, 3, 3), trial(1, None, 3, 5), trial(2, 1.0, 3, 7), trial(3, 2.0, 3, 9), trial(4, 1.0, 5, 5)]
    strategy = told(Evolution(SPACE, LOSS, seed=0, parents=3), *trials)
    assert [survivor.id for survivor in strategy.survivors()] == [2, 4, 3]
    assert told(RandomSearch(SPACE, LOSS, seed=0), *trials).survivors() == []
    highest = Goals((Goal("loss", "maximize", "trained", "score"),))
    assert [t.id for t in told(Evolution(SPACE, highest, seed=0, parents=2), *trials).survivors()] == [0, 3]


def test_rounds_are_a_population_and_then_children_of_each_parent() -> None:
    strategy = Evolution(SPACE, LOSS, seed=0, population=5, parents=2, children=3)
    assert strategy.round_size() == 5
    first = [strategy.ask(number) for number in range(5)]
    assert {proposal.parent for proposal in first} == {None}
    strategy.tell([Trial(i, proposal, 0, {"loss": 9.0 - i}) for i, proposal in enumerate(first)])
    assert strategy.round_size() == 6
    second = [strategy.ask(number) for number in range(5, 11)]
    assert [proposal.parent for proposal in second] == [4, 4, 4, 3, 3, 3]
    assert {proposal.mutation for proposal in second} == {"mutate"}
    assert len({proposal.architecture for proposal in first + second}) == 11, "nothing is tried twice"


def test_if_all_failed_the_next_round_is_random() -> None:
    strategy = told(Evolution(SPACE, LOSS, seed=0, parents=2, children=2), trial(0, None, 3, 3))
    assert strategy.round_size() == 4
    assert strategy.ask(1).parent is None


@pytest.mark.parametrize("name", ["op-nas", "evolution", "random", "roulette"])
def test_proposals_depend_on_seed_and_history_alone(name: str) -> None:
    def proposals(seed: int, loss: float) -> list[Proposal]:
        strategy = STRATEGIES[name](SPACE, LOSS, seed, population=3, parents=2, children=2)
        first = [strategy.ask(number) for number in range(3)]
        strategy.tell([Trial(i, p, 0, {"loss": loss if i == 1 else 2.0 + i}) for i, p in enumerate(first)])
        return first + [strategy.ask(number) for number in range(3, 7)]

    assert proposals(0, 1.0) == proposals(0, 1.0)
    assert not set(proposals(0, 1.0)) & set(proposals(1, 1.0))
    other = proposals(0, 9.0)
    assert other[:3] == proposals(0, 1.0)[:3]
    assert (other == proposals(0, 1.0)) == (name == "random")


class Landscape(Evaluator):
    """A planted optimum: the fitness is the mean of one random number for each gene."""

    def __init__(self, space: AutoBertZeroSpace, seed: int) -> None:
        self.space, self.seed = space, seed
        self.effects: dict[tuple[Hashable, object], float] = {}

    def effect(self, position: Hashable, operation: object) -> float:
        if (position, operation) not in self.effects:
            value = Random(derive(self.seed, position, operation)).gauss(0, 1)
            self.effects[position, operation] = value
        return self.effects[position, operation]

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        return {"loss": -fmean(self.effect(*gene) for gene in self.space.genes(architecture))}, {}


def searched(name: str, landscape: Landscape, journal: Path, team: Team) -> tuple[float, OpNas]:
    """The best fitness after 40 trials, and the strategy."""
    strategy = STRATEGIES[name](landscape.space, LOSS, landscape.seed, population=15, parents=3, children=4)
    journals = Journal(journal), Journal(journal.with_name("finalists.jsonl"))
    trials = Loop(strategy, landscape, LOSS, *journals, team, landscape.seed).run(40).trials
    return max(-trial.scores["loss"] for trial in trials), strategy


def preference(strategy: OpNas, landscape: Landscape) -> float:
    """How much better what the strategy draws is than what is drawn blindly, over all kernels and the path's start."""
    places = [(("kernel", layer), KERNELS) for layer in range(3)] + [(("path", j), OPERATIONS) for j in range(3)]
    gains = []
    for position, choices in places:
        drawn = [strategy.draw(position, choices, Random(number)) for number in range(50)]
        plain = fmean(landscape.effect(position, choice) for choice in choices)
        gains.append(fmean(landscape.effect(position, choice) for choice in drawn) - plain)
    return fmean(gains)


def test_op_nas_finds_more_than_chance_where_operations_count_by_themselves(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve paired seeds: the guided draw prefers what was planted, and that pays on average."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    gains, preferences = [], []
    for seed in range(12):
        space = AutoBertZeroSpace(num_hidden_layers=3, formulas=FormulaSampler(3, 5))
        landscape = Landscape(space, seed)
        guided, strategy = searched("op-nas", landscape, tmp_path / f"op-nas-{seed}", team)
        preferences.append(preference(strategy, landscape))
        gains.append(guided - searched("random", landscape, tmp_path / f"random-{seed}", team)[0])
    assert fmean(preferences) > 0.2
    assert fmean(gains) > 0.05
    assert sum(gain > 0 for gain in gains) >= 8
