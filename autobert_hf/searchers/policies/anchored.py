"""The anchors of MAGIC-A and MAGIC-AT (Xu et al., 2022): the best sub-network so far, to which others are aligned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.spaces.space import Space


@dataclass
class Anchored:
    """
    Trains what `policy` selects: uniform paths for MAGIC-A, a walk for MAGIC-AT. Every `every` steps the latest of
    them takes the anchor's place if `judge`, higher is better, strictly prefers it; both are judged with the current
    weights. The judge has to give every process the same value.
    """

    policy: Policy
    judge: Callable[[Architecture], float]
    every: int = 25
    anchor: Architecture = field(init=False)

    def __post_init__(self) -> None:
        (self.anchor, *_) = self.policy(0, 0)

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        return [*self.policy(step, shard)]

    def after_step(self, step: int) -> None:
        self.policy.after_step(step)
        if step % self.every == 0:
            self.anchor = self.chosen(step)

    def chosen(self, step: int) -> Architecture:
        (latest, *_) = self.policy(step - 1, 0)
        is_better = latest != self.anchor and self.judge(latest) > self.judge(self.anchor)
        return latest if is_better else self.anchor

    def state(self) -> dict[str, Any]:
        return {"anchor": self.anchor.to_json(), "policy": self.policy.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.anchor = Architecture.from_json(state["anchor"])
        self.policy.restore(state["policy"])


@dataclass
class TopShare(Anchored):
    """
    The paper's study of anchors: every `every` steps (an epoch there) `candidates` networks drawn from `space` are
    judged, and the anchor is the one at the best `share` of them. It stays while it is within `band` of that share, or
    it would change with every judgement. The paper judges 10,000.
    """

    space: Space = field(kw_only=True)
    seed: int = field(kw_only=True)
    share: float = 0.3
    band: float = 0.1
    candidates: int = 256

    def chosen(self, step: int) -> Architecture:
        rng = Random(derive(self.seed, step, "top-share"))
        drawn = [self.space.sample(rng) for _ in range(self.candidates)]
        scores = [self.judge(one) for one in drawn]
        own = self.judge(self.anchor)
        place = sum(score > own for score in scores) / self.candidates
        if abs(place - self.share) <= self.band:
            return self.anchor
        ranked = sorted(range(self.candidates), key=lambda number: -scores[number])
        return drawn[ranked[min(int(self.share * self.candidates), self.candidates - 1)]]
