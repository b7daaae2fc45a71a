"""The loss of a network on held-out batches."""

import math
from collections.abc import Mapping, Sequence
from statistics import stdev

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

    def __call__(self, network: Network) -> float:
        """
        The loss of a network in evaluation mode.

        Raises:
            TrainingError: if it is not finite.
        """
        total = _total(self._terms(network))
        if not math.isfinite(total):
            raise TrainingError(f"the held-out loss is {total}: lower the learning rate")
        return total

    def noise(self, network: Network) -> float | None:
        """The standard error of the loss over the choice of held-out rows; None with fewer than two batches."""
        each = [_total([terms]) for terms in self._terms(network)]
        return stdev(each) / math.sqrt(len(each)) if len(each) > 1 else None

    @torch.no_grad()
    def _terms(self, network: Network) -> list[dict[str, tuple[float, int]]]:
        """For each batch, sum and number of items by the term's name."""
        with self.team.autocast():
            if not self.scores:
                self.scores = [self.loss.score(self.team.to_device(batch)) for batch in self.batches]
            return [score(network) for score in self.scores]


def _total(found: Sequence[Mapping[str, tuple[float, int]]]) -> float:
    return sum(sum(terms[name][0] for terms in found) / sum(terms[name][1] for terms in found) for name in found[0])
