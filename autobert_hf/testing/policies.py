"""Conformance checks for policies."""

import json
import random
from collections.abc import Callable, Sequence

import torch

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.space import Space


Drawn = dict[tuple[int, int], list[Architecture]]


def check_policy(make: Callable[[int], Policy], space: Space, steps: int = 6, shards: int = 3) -> None:
    """
    The architectures of a (step, shard) are in `space`, follow from the seed that the policy is made with, and do not
    depend on earlier calls, since each of several processes asks only for its own shards. A policy that restores
    another one's state continues like that one, and ends in the same state.

    Raises:
        AssertionError: if a rule is broken.
    """
    expected = _walk(make(0), range(steps), range(shards))
    for at, architectures in expected.items():
        assert architectures, f"no architecture for (step, shard) {at}"
        for architecture in architectures:
            assert space.contains(architecture), f"(step, shard) {at} leads out of the space: {architecture}"
    _check_order(make, expected, steps, shards)
    for step in range(steps):
        _check_resume(make, expected, step, steps, shards)
    assert expected != _walk(make(1), range(steps), range(shards)), "two seeds give the same architectures"


def _walk(policy: Policy, steps: Sequence[int], shards: Sequence[int]) -> Drawn:
    """Calls the policy like the trainer: for the shards of a step, then `after_step` with the steps done."""
    drawn: Drawn = {}
    for step in steps:
        for shard in shards:
            drawn[step, shard] = list(policy(step, shard))
        policy.after_step(step + 1)
    return drawn


def _check_order(make: Callable[[int], Policy], expected: Drawn, steps: int, shards: int) -> None:
    random.seed(7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        assert _walk(make(0), range(steps), range(shards)) == expected, "a random draw does not follow from the seed"
    backwards = _walk(make(0), range(steps), range(shards)[::-1])
    assert backwards == expected, "what a shard gets depends on the order in which shards are asked for"
    for processes in range(2, shards + 1):
        for rank in range(processes):
            mine = _walk(make(0), range(steps), range(rank, shards, processes))
            assert all(expected[at] == found for at, found in mine.items()), (
                f"what a shard gets depends on the number of processes: another architecture on {rank} of {processes}"
            )
    policy = make(0)
    assert [list(policy(0, 0)) for _ in range(2)] == [expected[0, 0]] * 2, "a second call for a shard differs"


def _check_resume(make: Callable[[int], Policy], expected: Drawn, step: int, steps: int, shards: int) -> None:
    """Resumes from the state after `step` steps, which must be serializable as JSON."""
    first = make(0)
    _walk(first, range(step), range(shards))
    state = json.dumps(first.state())
    assert json.dumps(first.state()) == state, "reading the state of a policy changes it"
    second = make(0)
    second.restore(json.loads(state))
    rest = {at: found for at, found in expected.items() if at[0] >= step}
    resumed = _walk(second, range(step, steps), range(shards))
    assert resumed == rest, f"resumed after {step} steps the policy continues with other architectures"
    whole = make(0)
    _walk(whole, range(steps), range(shards))
    assert second.state() == whole.state(), f"resumed after {step} steps the policy ends in another state"
