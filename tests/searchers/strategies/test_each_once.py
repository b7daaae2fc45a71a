"""In a space that can be listed nothing is tried twice, whatever the strategy would repeat."""

import pytest

from autobert_hf.records.goals import Goals
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.spaces.grid import GridSpace
from autobert_hf.searchers.strategies import Evolution, RandomSearch
from autobert_hf.searchers.strategies.each_once import EachOnce


SPACE = GridSpace(layers=[1, 2, 3, 4, 5, 6], width=[16, 32, 48, 64, 80, 96])
LOSS = Goals.named("loss")


def search(kind, seed=0):
    strategy = EachOnce(kind(SPACE, LOSS, seed, population=6, parents=2, children=3), SPACE, seed)
    trials = []
    for _ in range(SPACE.size // 6):
        asked = [strategy.ask(len(trials) + at) for at in range(strategy.round_size())]
        told = [
            Trial(number, proposal, 0, {"loss": 1 / proposal.architecture["width"]})
            for number, proposal in enumerate(asked, start=len(trials))
        ]
        trials += told
        strategy.tell(trials)
    return trials


@pytest.mark.parametrize("kind", [RandomSearch, Evolution])
def test_after_as_many_trials_as_there_are_architectures_all_were_tried(kind):
    trials = search(kind)
    assert len(trials) == 36
    assert {trial.architecture for trial in trials} == set(SPACE.enumerate())
    assert [trial.proposal for trial in trials] == [trial.proposal for trial in search(kind)]


def test_what_stands_in_has_no_parent():
    trials = search(Evolution)
    children = [trial for trial in trials if trial.proposal.parent is not None]
    assert {trial.proposal.mutation for trial in children} == {"mutate"}
    assert {trial.proposal.mutation for trial in trials if trial.proposal.parent is None} == {"sample"}
    assert 0 < len(children) < 30
