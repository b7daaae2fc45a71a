"""Tokenizers, and documents into packed rows of tokens."""

import hashlib
import random
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from tokenizers.trainers import WordPieceTrainer
from transformers import BertTokenizer, PreTrainedTokenizerBase

from autobert_hf.lab.data.documents import TextError
from autobert_hf.records.seeds import derive


SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def sha256_of(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_documents(documents: Sequence[str], fraction: float = 0.05, seed: int = 0) -> tuple[list[str], list[str]]:
    """
    (training, validation) documents, both in their old order and at least one each. Whole documents are
    held out before packing: rows would cut a document in two and share it.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The validation fraction is {fraction}: it must lie between 0 and 1.")
    if len(documents) < 2:
        raise TextError(
            "There is only one document, so none can be held out: put blank lines between documents, or give more."
        )
    number = min(max(round(fraction * len(documents)), 1), len(documents) - 1)
    held_out = set(random.Random(derive(seed, "split")).sample(range(len(documents)), number))
    train = [document for index, document in enumerate(documents) if index not in held_out]
    return train, [documents[index] for index in sorted(held_out)]


def train_tokenizer(
    documents: Sequence[str], vocab_size: int = 4000, model_max_length: int = 512, cased: bool = False
) -> BertTokenizer:
    """
    WordPiece as BERT's, the same for the same documents; unless `cased`, without capitals and marks on letters.
    `len(tokenizer)` is `vocab_size`, but smaller where the text has not so many pieces, and larger where its
    characters alone are more.
    """
    # The trainer numbers the characters inside words ("##a") in the order of a randomly seeded hash table, and breaks
    # ties between merges by these numbers. They are found first, on each distinct word once, and then listed in order.
    distinct = sorted(set(chain.from_iterable(document.split() for document in documents)))
    inside = sorted(piece for piece in _train(distinct, 0, [], cased) if piece.startswith("##"))
    vocab = _train(documents, vocab_size, inside, cased)
    in_order = dict(sorted(vocab.items(), key=lambda item: item[1]))
    return BertTokenizer(vocab=in_order, model_max_length=model_max_length, do_lower_case=not cased)


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Rows of embeddings that a network needs: ids of a vocabulary with holes go beyond the number of its words."""
    return max(tokenizer.get_vocab().values()) + 1


def _train(texts: Sequence[str], vocab_size: int, first: list[str], cased: bool) -> dict[str, int]:
    backend = BertTokenizer(do_lower_case=not cased).backend_tokenizer
    trainer = WordPieceTrainer(vocab_size=vocab_size, special_tokens=SPECIAL_TOKENS + first, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    return backend.get_vocab()


def token_lists(
    documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, chunk: int = 1000
) -> Iterator[list[list[int]]]:
    """Token ids of each document, by chunks, without special tokens: "[MASK]" in a text is just text."""
    for start in range(0, len(documents), chunk):
        encoded = tokenizer(
            list(documents[start : start + chunk]),
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        yield encoded["input_ids"]


def token_stream(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, chunk: int = 1000) -> torch.Tensor:
    """All token ids one after another, (tokens,) int64."""
    lists = token_lists(documents, tokenizer, chunk)
    parts = [torch.tensor(list(chain.from_iterable(part)), dtype=torch.int64) for part in lists]
    return torch.cat([torch.empty(0, dtype=torch.int64), *parts])


def pack(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int = 128) -> torch.Tensor:
    """
    Rows (rows, length) int64 of [CLS], `length - 2` tokens, [SEP]. Documents follow one another without a mark, as
    sentences do; the tokens that do not fill the last row are dropped.
    """
    if length < 3:
        raise ValueError(f"The row length is {length}: [CLS], [SEP] and a token need at least 3.")
    tokens = token_stream(documents, tokenizer)
    rows = len(tokens) // (length - 2)
    body = tokens[: rows * (length - 2)].view(rows, length - 2)
    edge = body.new_ones(rows, 1)
    first, last = edges(tokenizer)
    return torch.cat([edge * first, body, edge * last], dim=1)


def edges(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """The tokens at both ends of a row: [CLS] and [SEP] or, of decoders' tokenizers, the marks of a text's ends."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    return (begin if first is None else first), (end if last is None else last)


def unigram_floor(
    train: np.ndarray, validation: np.ndarray, special_ids: Collection[int] = range(len(SPECIAL_TOKENS))
) -> float:
    """
    Cross entropy (nats) of the validation tokens under the frequencies of the training tokens, each counted once more
    than seen; special tokens are left out on both sides, as masking leaves them out. It is the masked-word loss of a
    network that knows words but no context: a loss says something about context as far as it is below this.

    Args:
        train, validation: how often each word stands there, (vocab_size,).
    """
    seen, asked = (np.delete(counts, list(special_ids)) for counts in (train, validation))
    log_probabilities = np.log((seen + 1) / (seen + 1).sum())
    return float(-(asked * log_probabilities).sum() / asked.sum())
