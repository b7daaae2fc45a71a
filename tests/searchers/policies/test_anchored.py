"""How MAGIC-A's anchor is replaced, and the anchors of the study."""

from collections.abc import Callable

from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.policies import Anchored, SinglePath, TopShare
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations


SPACE = ChainSpace(main_operations(48, heads=4), 4, 48)


def convolutions(architecture: Architecture) -> float:
    return sum(name.startswith("CONV") for name in SPACE.names(architecture))


def anchors(judge: Callable[[Architecture], float], steps: int) -> list[Architecture]:
    policy = Anchored(SinglePath(SPACE, 0), judge, every=5)
    found = [policy.anchor]
    for step in range(1, steps + 1):
        policy.after_step(step)
        found.append(policy.anchor)
    return found


def test_only_a_better_one_takes_its_place():
    found = anchors(convolutions, 200)
    values = [convolutions(one) for one in found]
    assert values == sorted(values) and values[-1] == 4
    changed = [step for step in range(1, 201) if found[step] != found[step - 1]]
    assert changed and all(step % 5 == 0 for step in changed)
    assert all(convolutions(found[step]) > convolutions(found[step - 1]) for step in changed)


def test_both_are_judged_with_the_current_weights():
    """An anchor whose value has fallen gives way to one that its old value would have kept out."""
    now = {"step": 0}

    def worse_every_time(architecture: Architecture) -> float:
        return convolutions(architecture) - now["step"]

    policy = Anchored(SinglePath(SPACE, 0), worse_every_time, every=1)
    for step in range(1, 100):
        now["step"] = step
        policy.after_step(step)
    assert convolutions(policy.anchor) == 4


def test_an_anchor_that_never_improves_stays():
    found = anchors(lambda architecture: 0.0, 50)
    assert set(found) == {found[0]}


def test_a_share_of_the_best():
    """At 30 % from the top; within the band it stays, and outside it is drawn anew."""
    order = {one: number for number, one in enumerate(SPACE.enumerate())}
    policy = TopShare(SinglePath(SPACE, 0), lambda one: -order[one], every=10, space=SPACE, seed=0, candidates=2000)
    policy.after_step(10)
    first = policy.anchor
    assert abs(order[first] / 256 - 0.3) < 0.1
    for step in range(11, 200):
        policy.after_step(step)
    assert policy.anchor == first
    policy.judge = lambda one: order[one]  # now it is at 70 % from the top
    policy.after_step(200)
    assert abs(order[policy.anchor] / 256 - 0.7) < 0.1
