"""Sampling for progressive shrinking (NAS-BERT, Xu et al., 2021): only what has not been removed is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies.policy import Policy


@dataclass
class Survivors:
    """
    Follows `policy` while `remaining` is empty; then each step trains one of `remaining`, drawn uniformly, on all of
    its shards. A walk that changes few operations (MAGIC-T) ends with it: few networks of a sampled set differ in so
    little. Whoever shrinks the set has to set `remaining` again after a resume: it is no part of the state.
    """

    policy: Policy
    seed: int
    remaining: Sequence[Architecture] = ()

    def __call__(self, step: int, shard: int) -> list[Architecture]:
        if not self.remaining:
            return [*self.policy(step, shard)]
        return [Random(derive(self.seed, step, "survivors")).choice(self.remaining)]

    def after_step(self, step: int) -> None:
        self.policy.after_step(step)

    def state(self) -> dict[str, Any]:
        return self.policy.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.policy.restore(state)
