"""Evolution on the front: who becomes a parent, what the children are."""

from collections import Counter

from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.spaces.lts import LtsSpace
from autobert_hf.searchers.strategies.front_evolution import FrontEvolution


SPACE = LtsSpace(range(1, 4), (8, 16, 24), range(16, 65, 8), (2, 4))
GOALS_OF_TWO = Goals((GOALS["decoder_parameters"], GOALS["latency"]), keep_ties=True)


def told(strategy, rounds, score):
    history = []
    for _ in range(rounds):
        first, size = len(history), strategy.round_size()
        history += [Trial(number, strategy.ask(number), 0, score(number)) for number in range(first, first + size)]
        strategy.tell(list(history))
    return history


def test_the_released_defaults():
    strategy = FrontEvolution(LtsSpace(), GOALS_OF_TWO, 0)
    history = told(strategy, 3, lambda number: {"decoder_parameters": float(number), "latency": float(number)})
    assert len(history) == 100 + 80 + 80
    kinds = Counter(trial.proposal.mutation for trial in history)
    assert kinds == {"sample": 100, "mutate": 80, "crossover": 80}
    assert len(strategy.selected) == 20
    assert len({trial.architecture for trial in history}) == len(history)


def test_only_points_of_the_front_have_children():
    strategy = FrontEvolution(SPACE, GOALS_OF_TWO, 1, 10, 4, 2)
    history = told(strategy, 3, lambda number: {"decoder_parameters": 9.0 - number % 5, "latency": 1.0 + number % 5})
    assert {trial.proposal.parent % 5 for trial in history if trial.proposal.parent is not None} == {0}


def test_parents_that_were_used_often_are_drawn_less():
    strategy = FrontEvolution(SPACE, GOALS_OF_TWO, 2, 4, 20, 1)
    told(strategy, 1, lambda number: {"decoder_parameters": float(number), "latency": float(number)})
    strategy.uses = Counter({0: 10, 1: 5})
    front = GOALS_OF_TWO.front(strategy.history)
    weights = dict(zip([trial.id for trial in front], strategy._weights(front), strict=True))
    assert weights == {0: 0.5, 1: 1 / 1.5, 2: 1.0, 3: 1.0}


def test_a_space_that_is_used_up_is_proposed_again_rather_than_for_ever():
    tiny = LtsSpace((1,), (8,), (16, 24), (2,))
    history = told(
        FrontEvolution(tiny, GOALS_OF_TWO, 0, 2, 1, 2), 2, lambda number: {"decoder_parameters": 1.0, "latency": 1.0}
    )
    assert len({trial.architecture for trial in history}) == tiny.size == 2
