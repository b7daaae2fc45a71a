"""The loss of fine-tuning, as computed by a model's own head."""

from collections.abc import Mapping

from torch import Tensor

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Score, Step
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel


class HeadLoss(Loss):
    """The head's loss, a mean over the rows of a batch; the batches hold the labels of the task."""

    unit = "the head's own loss"
    rows = "a task's"
    head = AutoBertPreTrainedModel
    decoders = None

    def items(self, batch: Batch) -> dict[str, int]:
        return {"rows": len(batch["input_ids"])}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        share = len(batch["input_ids"]) / items["rows"]

        def losses(network: Network) -> dict[str, Tensor]:
            return {"rows": network(**batch).loss * share}

        return losses

    def score(self, batch: Batch) -> Score:
        losses = self(batch, {"rows": 1}, Step())
        return lambda network: {"rows": (losses(network)["rows"].item(), len(batch["input_ids"]))}
