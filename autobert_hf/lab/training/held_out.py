"""The loss of a network on held-out batches."""

import math
from collections.abc import Sequence

import torch

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Loss, Network, Score, TrainingError
from autobert_hf.lab.training.team import Team


class HeldOut:
    """A loss over held-out batches: for each term, total over number of items. A teacher sees each batch once."""

    def __init__(self, loss: Loss, batches: Sequence[Batch], team: Team) -> None:
        self.team = team
        self.loss = loss
        self.batches = batches
        self.scores: list[Score] = []

    @torch.no_grad()
    def __call__(self, network: Network) -> float:
        """
        The loss of a network in evaluation mode.

        Raises:
            TrainingError: if it is not finite.
        """
        with self.team.autocast():
            if not self.scores:
                self.scores = [self.loss.score(self.team.to_device(batch)) for batch in self.batches]
            found = [score(network) for score in self.scores]
        total = sum(
            sum(terms[name][0] for terms in found) / sum(terms[name][1] for terms in found) for name in found[0]
        )
        if not math.isfinite(total):
            raise TrainingError(f"the held-out loss is {total}: lower the learning rate")
        return total
