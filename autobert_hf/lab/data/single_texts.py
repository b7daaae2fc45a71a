"""Batches of whole texts without labels: what a student is shown who learns from a teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.length_buckets import length_buckets
from autobert_hf.lab.data.masked_words import MaskedBatches, generator
from autobert_hf.lab.data.row_files import RowFiles


Batch = dict[str, torch.Tensor]


def text_rows(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[list[int]]:
    """One document a row, with the tokenizer's special tokens, cut at `length`."""
    encoded = tokenizer(
        list(documents),
        truncation=True,
        max_length=length,
        split_special_tokens=True,  # "[MASK]" in a text is just text
        return_token_type_ids=False,
        return_attention_mask=False,
        verbose=False,
    )
    return encoded["input_ids"]


@dataclass
class TextBatches(MaskedBatches):
    """
    Batches `{input_ids, attention_mask}` from rows of any lengths, each (batch_size, longest). Rows come
    in a new order each epoch, those of nearly equal length together; what makes no whole batch is left out.
    """

    rows: RowFiles

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lengths: list[int] = self.rows.lengths.tolist()
        self.orders: dict[tuple[object, ...], list[list[int]]] = {}

    @property
    def tokens_per_batch(self) -> int:
        """On average, padding left out."""
        return max(self.batch_size * sum(self.lengths) // len(self.lengths), 1)

    def batch(self, *purpose: object, step: int) -> Batch:
        epoch, index = divmod(step, len(self.rows) // self.batch_size)
        return self.trim(self.order(*purpose, epoch)[index])

    def held_out(self, num_rows: int) -> list[Batch]:
        """The first rows, the shorter before the longer."""
        first = sorted(range(min(num_rows, len(self.rows))), key=lambda row: self.lengths[row])
        return [self.trim(first[at : at + self.batch_size]) for at in range(0, len(first), self.batch_size)]

    def trim(self, chosen: Sequence[int]) -> Batch:
        lengths = torch.tensor([self.lengths[row] for row in chosen])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        return {"input_ids": self.rows[torch.tensor(chosen)], "attention_mask": mask}

    def order(self, *purpose: object) -> list[list[int]]:
        """The last one is remembered: sorting a million rows for every step would take longer than the step."""
        if purpose not in self.orders:
            batches = length_buckets(self.lengths, self.batch_size, generator(self.seed, *purpose, "buckets"))
            self.orders = {purpose: [batch for batch in batches if len(batch) == self.batch_size]}
        return self.orders[purpose]
