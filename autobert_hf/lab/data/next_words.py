"""Causal-language-model batches: the rows of masked words without masks, every word to be predicted."""

import torch

from autobert_hf.lab.data.masked_words import MaskedBatches


class NextWordBatches(MaskedBatches):
    """
    input_ids and labels, each (batch_size, length), not shifted: the network predicts the label at t from the tokens
    before t. Special tokens, unknown words among them, carry no label, as they are never masked either.
    """

    def mask(self, chosen: torch.Tensor, *purpose: object) -> dict[str, torch.Tensor]:
        rows = self.rows[chosen]
        special = torch.isin(rows, torch.tensor(self.tokenizer.all_special_ids))
        return {"input_ids": rows, "labels": rows.masked_fill(special, -100)}
