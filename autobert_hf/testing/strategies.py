"""Conformance checks for strategies."""

from collections.abc import Callable

from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.strategies.strategy import Strategy


def check_strategy(make: Callable[[int], Strategy], rounds: int = 3) -> None:
    """
    Proposals depend only on the seed that the strategy is made with, the trial's number and the rounds told; a failed
    trial is neither a parent nor a survivor; a round has at least one trial. The trials' scores are loss, parameters,
    flops and latency.

    Raises:
        AssertionError: if a rule is broken.
    """
    history = _play(make(0), rounds)
    assert history == _play(make(0), rounds), "the same seed gives two different searches"
    assert history != _play(make(1), rounds), "two seeds give the same search"
    failed = {trial.id for trial in history if not trial.ok}
    assert not failed & {trial.proposal.parent for trial in history}, "a failed trial has children"


def _play(strategy: Strategy, rounds: int) -> list[Trial]:
    """Every third trial fails; the others are scored by their number, so that no two are equal."""
    history: list[Trial] = []
    for _ in range(rounds):
        size = strategy.round_size()
        assert size >= 1, "an empty round"
        numbers = range(len(history), len(history) + size)
        told = [_trial(strategy.ask(number), number) for number in numbers]
        parents = [trial.proposal.parent for trial in told if trial.proposal.parent is not None]
        assert all(parent < len(history) for parent in parents), "a parent is not from an earlier round"
        history += told
        strategy.tell(list(history))
        assert all(trial.ok for trial in strategy.survivors()), "a failed trial survives"
    return history


def _trial(proposal: Proposal, number: int) -> Trial:
    if number % 3 == 2:
        return Trial(number, proposal, 0, status="failed", reason="every third one does")
    scores = {"loss": 1.0 + 0.37 * number % 1, "parameters": 1000 + number, "flops": 1e6, "latency": 0.5}
    return Trial(number, proposal, 0, scores)
