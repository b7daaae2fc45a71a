"""Causal language modelling: every word from the words before it."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import cross_entropy

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Step
from autobert_hf.modeling.modeling_autobert import AutoBertForCausalLM
from autobert_hf.records.trainings import NEXT_WORDS_UNIT


class NextWords(Loss):
    """
    Mean cross entropy, in nats, of the labelled tokens (batch["labels"], not shifted, not -100) given those before
    them; perplexity is exp of it. Vocabulary logits are computed only at positions that some row predicts from.
    """

    unit = NEXT_WORDS_UNIT
    rows = "unmasked"
    head = AutoBertForCausalLM
    decoders = True

    def items(self, batch: Batch) -> dict[str, int]:
        return {"words": int((batch["labels"][:, 1:] != -100).sum())}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        number = max(items["words"], 1)  # a batch of which no token is labelled teaches nothing
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        wanted = batch["labels"][:, 1:]
        kept = (wanted != -100).any(0).nonzero()[:, 0]
        wanted = wanted[:, kept]

        def losses(network: Network) -> dict[str, Tensor]:
            logits = network(**inputs, use_cache=False, logits_to_keep=kept).logits
            total = cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), reduction="sum")
            return {"words": total / number}

        return losses

    def floor(self, text: Text) -> float:
        """The loss of a model that knows only token frequencies."""
        return text.floor

    def floors(self, text: Text) -> dict[str, float]:
        return {"floor": self.floor(text)}
