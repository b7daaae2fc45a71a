"""Next-sentence prediction beside masked words, as BERT was trained: pairs of texts out of documents."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.text import token_lists
from autobert_hf.records.seeds import derive


# After . ! ? and perhaps a closing quotation mark or bracket, where a space follows.
END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"'”’)\]]))\s+")

Tokens = list[int]


def sentences(document: str) -> list[str]:
    """Abbreviations end a sentence too, which matters little here: the parts only have to follow one another."""
    return [part for part in END.split(document) if part]


def pair_rows(
    documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Rows (rows, length) of [CLS] A [SEP] B [SEP] and padding, and whether B is random (rows,): 0 where it follows A in
    its document, 1 where it stands in another one, as half of them do. A and B are runs of whole sentences, cut at
    the end where they are too long together (BERT, appendix A.2). Raises TextError where there is no other document.
    """
    if length < 5:
        raise ValueError(f"The row length is {length}: [CLS], two [SEP] and a token on each side need at least 5.")
    texts = _tokenized(documents, tokenizer)
    if len(texts) < 2:
        raise TextError(
            "Sentence pairs need two documents with two tokens at least: put blank lines between documents, or give "
            "more text."
        )
    draw = random.Random(derive(seed, "sentence pairs"))
    rows, labels = [], []
    for index in range(len(texts)):
        for first, second, label in _pairs(texts, index, length - 3, draw):
            row = [tokenizer.cls_token_id, *first, tokenizer.sep_token_id, *second, tokenizer.sep_token_id]
            rows.append(row + [tokenizer.pad_token_id] * (length - len(row)))
            labels.append(label)
    return torch.tensor(rows), torch.tensor(labels)


def _tokenized(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[Tokens]]:
    parts = [sentences(document) for document in documents]
    tokens = chain.from_iterable(token_lists([part for document in parts for part in document], tokenizer))
    texts = [[ids for _ in document if (ids := next(tokens))] for document in parts]
    return [text for text in texts if sum(map(len, text)) > 1]


def _pairs(
    texts: Sequence[list[Tokens]], index: int, room: int, draw: random.Random
) -> Iterator[tuple[Tokens, Tokens, int]]:
    text, position = texts[index], 0
    while position < len(text):
        chunk = _take(text[position:], room)
        if len(chunk) == 1:  # a long sentence, or what is left at the end: cut in the middle
            split, skipped = 1, len(chunk[0]) // 2
            first, second = chunk[0][:skipped], chunk[0][skipped:]
        else:
            split, skipped = draw.randint(1, len(chunk) - 1), 0
            first, second = sum(chunk[:split], []), sum(chunk[split:], [])
        label = int(draw.random() < 0.5)
        if label:
            # As long as what it stands for, and inside a sentence where that is: neither must give the answer away.
            other = _elsewhere(texts, index, skipped + len(second), draw)
            second = other[min(skipped, len(other) // 2) :]
        position += split if label else len(chunk)
        if first and second:
            yield *_fit(first, second, room), label


def _take(text: Sequence[Tokens], room: int) -> list[Tokens]:
    """Whole sentences until there are `room` tokens."""
    chunk: list[Tokens] = []
    total = 0
    for sentence in text:
        if total >= room:
            break
        chunk.append(sentence)
        total += len(sentence)
    return chunk


def _elsewhere(texts: Sequence[list[Tokens]], index: int, room: int, draw: random.Random) -> Tokens:
    other = draw.randrange(len(texts) - 1)
    text = texts[other + (other >= index)]
    return sum(_take(text[draw.randrange(len(text)) :], room), [])


def _fit(first: Tokens, second: Tokens, room: int) -> tuple[Tokens, Tokens]:
    """Cuts the longer one, or both to a half each."""
    keep = min(len(first), max(room // 2, room - len(second)))
    return first[:keep], second[: room - keep]


@dataclass
class PairBatches(MaskedBatches):
    """Batches for AutoBertForPreTraining; `is_random`: the label of each row."""

    is_random: torch.Tensor

    def mask(self, chosen: torch.Tensor, *purpose: object) -> dict[str, torch.Tensor]:
        rows = self.rows[chosen]
        ends = rows == self.tokenizer.sep_token_id
        before = ends.cumsum(dim=1) - ends.long()  # the number of [SEP] that stand before a token
        real = before < 2  # not what differs from [PAD]: a tokenizer may use another token, such as [UNK], for that
        return super().mask(chosen, *purpose) | {
            "attention_mask": real.long(),
            "token_type_ids": before * real,
            "next_sentence_label": self.is_random[chosen],
        }
