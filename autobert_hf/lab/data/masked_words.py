"""Masked-language-model batches: the same tokens and the same masks for the same (seed, purpose, step)."""

from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerBase

from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.records.seeds import derive


@dataclass
class MaskedBatches:
    """
    Batches from packed rows (rows, length), in memory or in files. Rows come in a new random order each epoch; 15 % of
    the tokens are labelled, of which 80 % become [MASK] and 10 % another word, as in BERT.
    """

    rows: torch.Tensor | RowFiles
    tokenizer: PreTrainedTokenizerBase
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.rows) < self.batch_size:
            raise ValueError(
                f"The text makes {len(self.rows)} rows of {self.rows.shape[1]} tokens, fewer than one batch of "
                f"{self.batch_size}: give more text, a smaller --batch-size or a smaller --length."
            )
        self.epoch: tuple[tuple[object, ...], torch.Tensor] = ((), torch.empty(0))

    @cached_property
    def collator(self) -> DataCollatorForLanguageModeling:
        return DataCollatorForLanguageModeling(self.tokenizer, mlm_probability=0.15)

    @property
    def tokens_per_batch(self) -> int:
        return self.batch_size * self.rows.shape[1]

    def batch(self, *purpose: object, step: int) -> dict[str, torch.Tensor]:
        """input_ids and labels, each (batch_size, length)."""
        per_epoch = len(self.rows) // self.batch_size
        epoch, index = divmod(step, per_epoch)
        chosen = self.shuffled(*purpose, "order", epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        return self.mask(chosen, *purpose, "mask", step)

    def shuffled(self, *purpose: object) -> torch.Tensor:
        """The last order is remembered: drawing one of millions of rows takes longer than a step."""
        if self.epoch[0] != purpose:
            self.epoch = (purpose, torch.randperm(len(self.rows), generator=generator(self.seed, *purpose)))
        return self.epoch[1]

    def held_out(self, num_rows: int) -> list[dict[str, torch.Tensor]]:
        """The first rows with fixed masks, so that every network answers the same questions."""
        parts = torch.arange(min(num_rows, len(self.rows))).split(self.batch_size)
        masked = [self.mask(part, "held-out", number) for number, part in enumerate(parts)]
        asked = [batch for batch in masked if (batch["labels"] != -100).any()]
        if not asked:
            raise ValueError("The held-out text is so short that no word of it is masked: give more text.")
        return asked

    def mask(self, chosen: torch.Tensor, *purpose: object) -> dict[str, torch.Tensor]:
        """`chosen`: indices of rows."""
        rows = self.rows[chosen]
        special = torch.isin(rows, torch.tensor(self.tokenizer.all_special_ids))
        self.collator.generator = generator(self.seed, *purpose)
        input_ids, labels = self.collator.torch_mask_tokens(rows, special_tokens_mask=special)
        return {"input_ids": input_ids, "labels": labels}


def generator(seed: int, *purpose: object) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, *purpose))
