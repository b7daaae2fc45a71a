"""Settings of MAGIC: the set of operations, and how the supernet's paths are chosen and aligned."""

from dataclasses import dataclass
from typing import Literal

from autobert_hf.searchers.compatibility import LOSS_AND_SUPERNET
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.teacher import TeacherSettings


@dataclass
class MagicSettings(TeacherSettings):
    teacher_loss = "blocks"

    operations: Literal["main", "analysis"] = described(
        "main: MHA, FFN, CONV3, CONV5; analysis: MHA6, MHA8, FFN, FFN', CONV3, CONV5.", "main"
    )
    policy: Literal["magic-at", "magic-a", "magic-t", "average-alignment", "single-path"] = described(
        "Paths of the supernet: magic-t changes few operations a step (the cheapest cure of interference), magic-a "
        "aligns with the best path so far, magic-at does both, average-alignment aligns with the mean of several, to "
        "study interference, single-path draws each path anew (SPOS, the baseline).",
        "magic-at",
    )
    changes: int = described("Operations that change from step to step (k of MAGIC-T).", 1, least=1)
    alignment: float = described("Weight of the alignment loss (lambda); the paper gives none.", 0.5, least=0)
    block: int = described("Sub-layers of an aligned block; the paper gives no number.", 2, least=1)
    anchor_every: int = described("Steps after which a better path takes the anchor's place.", 25, least=1)
    anchor_share: float = described(
        "Keep the anchor near this share of the best of 256 random paths, as in the paper's study of anchors; 0: the "
        "best path so far.",
        0.0,
        least=0,
    )
    supernet_steps: int = described("Training steps of the supernet.", 1000, least=1)
    strategy: Literal["evolution", "random"] = described("How candidates are chosen.", "evolution")
    population: int = described("Random candidates of the first round.", 25, least=1)
    parents: int = described("Best candidates that have children in each round.", 5, least=1)
    children: int = described("Children of each parent.", 5, least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if reason := _refused(self.loss):
            fitting = [loss for loss, supernet in LOSS_AND_SUPERNET if supernet == "choice" and not _refused(loss)]
            raise ValueError(f"--loss {self.loss} does not train chains: {reason}. Choose from {', '.join(fitting)}.")
        if self.anchor_share >= 1:
            raise ValueError(f"anchor_share is {self.anchor_share}: give a share below 1, such as 0.3.")


def _refused(loss: str) -> str:
    """Why a supernet of chains does not learn it; empty where it does."""
    return LOSS_AND_SUPERNET[loss, "choice"]
