"""The policies of MAGIC by name: the path that a step trains, and the loss that aligns it with others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from autobert_hf.lab.losses import Loss
from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.loss import Network, Step
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies import Anchored, MagicT, SinglePath, TopShare
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.settings.magic import MagicSettings
from autobert_hf.searchers.supernets import ChoiceSupernet


@dataclass(frozen=True)
class AlignedPaths:
    """Section 4 of the paper on `supernet`; `judge`, higher is better, says which of two paths is the anchor."""

    settings: MagicSettings
    supernet: ChoiceSupernet
    loss: Loss
    judge: Callable[[Architecture], float]

    def paths(self) -> Policy:
        """Without alignment: a walk, or each path drawn anew."""
        s, space = self.settings, self.supernet.space
        if s.policy in ("magic-t", "magic-at"):
            return MagicT(space, s.seed, s.changes, lazy=len(space.operations) == 2)
        return SinglePath(space, s.seed)

    def aligned(self, paths: Policy) -> tuple[Policy, Loss]:
        """The policy and the loss of a training by `paths`."""
        if self.settings.policy in ("magic-a", "magic-at"):
            anchored = self._anchored(paths)
            return anchored, self._loss(lambda step: [anchored.anchor])
        if self.settings.policy == "average-alignment":
            return paths, self._loss(self._companions)
        return paths, self.loss

    def _anchored(self, paths: Policy) -> Anchored:
        s = self.settings
        if not s.anchor_share:
            return Anchored(paths, self.judge, s.anchor_every)
        space = self.supernet.space
        return TopShare(paths, self.judge, s.anchor_every, s.anchor_share, space=space, seed=s.seed)

    def _loss(self, anchors: Callable[[Step], Sequence[Architecture]]) -> Aligned:
        s = self.settings

        def networks(step: Step) -> Sequence[Network]:
            return [self.supernet.network(one, training=False) for one in anchors(step)]

        begin = s.supernet_steps // 10
        return Aligned(self.loss, networks, self.supernet.space.length, s.alignment, s.block, begin)

    def _companions(self, step: Step) -> list[Architecture]:
        """As many paths as there are operations, drawn for each step (the paper's analysis)."""
        rng, space = Random(derive(self.settings.seed, step.number, "average-alignment")), self.supernet.space
        return [space.sample(rng) for _ in space.operations]
