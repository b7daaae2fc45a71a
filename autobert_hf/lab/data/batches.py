"""The text of a run as batches: which batch a step gets depends on nothing but its number and what it is for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.masked_words import MaskedBatches


Batch = dict[str, Tensor]
FIT_BATCHES = 30  # for linear maps in closed form


class Batches(Protocol):
    """The batch of each step."""

    @property
    def tokens_per_batch(self) -> int: ...

    def __call__(self, step: int) -> Batch: ...


@dataclass(frozen=True)
class Stream:
    """Training batches for one purpose."""

    source: MaskedBatches
    purpose: tuple[object, ...]

    @property
    def tokens_per_batch(self) -> int:
        return self.source.tokens_per_batch

    def __call__(self, step: int) -> Batch:
        return self.source.batch(*self.purpose, step=step)


@dataclass(frozen=True)
class Text:
    """
    What a run learns from and is tested on. `train` makes batches by step, `held_out` are the questions that all
    networks are asked, `floor` is the loss of knowing word frequencies alone, in nats, `facts` say how much text there
    is, which share of its words is unknown, and which tokenizer was trained on it.
    """

    tokenizer: PreTrainedTokenizerBase
    train: MaskedBatches
    held_out: list[Batch]
    floor: float
    device: torch.device
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        rows, length = self.train.rows.shape
        most = "" if self.train.tokens_per_batch == self.train.batch_size * length else "at most "
        unknown = f", {self.facts['unknown']:.1%} unknown words" if self.facts else ""
        return f"Text: {rows:,} rows of {most}{length} tokens{unknown}.{self._tokenizer}"

    @property
    def _tokenizer(self) -> str:
        """One that was trained: what kind it is, and why."""
        made = self.facts.get("tokenizer")
        if not made:
            return ""
        why = f", as WordPiece would not know {made['unknown_to_wordpiece']:.0%} of the text"
        case = "cased" if made["cased"] else "uncased"
        kind = f"{made['kind']}, {case}{why if made['kind'] != 'WordPiece' else ''}"
        return f" Tokenizer of {len(self.tokenizer):,} words: {kind}."

    def stream(self, *purpose: object) -> Stream:
        return Stream(self.train, purpose)

    def fitting_batches(self, purpose: str, number: int = FIT_BATCHES) -> list[Batch]:
        """Training batches to fit something in closed form, drawn for that `purpose`, on the device of the run."""
        return self.on_device(self.stream(purpose)(step) for step in range(number))

    def on_device(self, batches: Iterable[Batch]) -> list[Batch]:
        return [{name: tensor.to(self.device) for name, tensor in batch.items()} for batch in batches]

    def with_seed(self, seed: int) -> "Text":
        """The same text, trained on in another order; the held-out questions stay."""
        return replace(self, train=replace(self.train, seed=seed))
