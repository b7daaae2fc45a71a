"""How MAGIC trains a supernet (Xu et al., 2022, section 4): the path of each step, and what it is aligned with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.loss import Loss, Network, Step
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.policies import Anchored, MagicT, SinglePath, TopShare
from autobert_hf.searchers.policies.policy import Policy
from autobert_hf.searchers.settings.magic import MagicSettings
from autobert_hf.searchers.supernets.supernet import Supernet


@dataclass
class AlignedPaths:
    """
    Of a supernet with `layers` layers, each of which has so many `choices`. Anchors are compared on `batches` by their
    accuracy or, where the loss has none, by their loss.
    """

    settings: MagicSettings
    supernet: Supernet
    loss: Loss
    layers: int
    choices: int
    batches: Sequence[Batch]
    team: Team

    def __post_init__(self) -> None:
        self.held_out = HeldOut(self.loss, self.batches, self.team)

    def policy_and_loss(self) -> tuple[Policy, Loss]:
        """By --policy."""
        s, space = self.settings, self.supernet.space
        walks = s.policy in ("magic-t", "magic-at")
        paths = MagicT(space, s.seed, s.changes, self.choices == 2) if walks else SinglePath(space, s.seed)
        if s.policy in ("magic-a", "magic-at"):
            anchored = self.anchored(paths)
            return anchored, self.aligned(lambda step: [anchored.anchor])
        return paths, self.aligned(self.companions) if s.policy == "average-alignment" else self.loss

    def anchored(self, paths: Policy) -> Anchored:
        s = self.settings
        if not s.anchor_share:
            return Anchored(paths, self.judge, s.anchor_every)
        space = self.supernet.space
        return TopShare(paths, self.judge, s.anchor_every, s.anchor_share, space=space, seed=s.seed)

    def aligned(self, anchors: Callable[[Step], Sequence[Architecture]]) -> Aligned:
        s = self.settings

        def networks(step: Step) -> Sequence[Network]:
            return [self.supernet.network(one, training=False) for one in anchors(step)]

        return Aligned(self.loss, networks, self.layers, s.alignment, s.block, begin=s.supernet_steps // 10)

    def companions(self, step: Step) -> list[Architecture]:
        """As many paths as there are choices, drawn for each step (the paper's analysis)."""
        rng = Random(derive(self.settings.seed, step.number, "average-alignment"))
        return [self.supernet.space.sample(rng) for _ in range(self.choices)]

    def judge(self, architecture: Architecture) -> float:
        """How good a path is with the current weights; higher is better."""
        network = self.supernet.network(architecture, training=False)
        accuracy = self.loss.accuracy(network, [self.team.to_device(batch) for batch in self.batches])
        return -self.held_out(network) if accuracy is None else accuracy
