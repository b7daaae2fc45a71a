"""From what a user has (files, a data set on the Hub) to documents, and from documents to packed rows of tokens."""

import glob
import hashlib
import random
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path

import torch
from tokenizers.trainers import WordPieceTrainer
from transformers import BertTokenizer, PreTrainedTokenizerBase

from autobert_hf.records.seeds import derive


TABLES = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class TextError(ValueError):
    """The text that was given cannot be used; the message says which, why, and what to do."""


def read_documents(files: Sequence[str | Path]) -> list[str]:
    """
    Documents of all files, in order. .parquet, .csv, .json and .jsonl are read by `datasets` and need a column `text`,
    one document a row; anything else is UTF-8 text, one paragraph (up to a blank line) a document, or one line where
    there are no blank lines. Raises TextError.
    """
    if not files:
        raise TextError("No text file was named: give at least one.")
    return [document for file in files for document in _read_file(Path(file))]


def _read_file(path: Path) -> list[str]:
    if path.is_dir():
        raise TextError(f"{path} is a folder: name the files in it, or give the folder as a data set.")
    if not path.exists():
        raise TextError(f"{path} does not exist: check the path.")
    if path.stat().st_size == 0:
        raise TextError(f"{path} is empty: give a file with text in it.")
    kind = TABLES.get(path.suffix.lower())
    documents = (
        _paragraphs(_decode(path)) if kind is None else _table(str(path), kind, data_files=glob.escape(str(path)))
    )
    return _not_blank(documents, str(path))


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if b"\0" in data:
        raise TextError(
            f"{path} is binary: there is a null byte at offset {data.index(0)}. Give UTF-8 text, .parquet, .csv, "
            f".json or .jsonl (UTF-16 text: `iconv -f UTF-16 -t UTF-8 {path.name} > converted.txt`)."
        )
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TextError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}. If it is Latin-1, "
            f"`iconv -f LATIN1 -t UTF-8 {path.name} > converted.txt` makes it so."
        ) from error


def _paragraphs(text: str) -> list[str]:
    lines = re.sub(r"\r\n?", "\n", text).strip()
    paragraphs = re.split(r"\n\s*\n", lines)
    return paragraphs if len(paragraphs) > 1 else lines.split("\n")


def _not_blank(documents: Sequence[str | None], source: str) -> list[str]:
    """Without empty documents, and with single spaces for whatever white space there was."""
    kept = [words for document in documents if document and (words := " ".join(document.split()))]
    if not kept:
        raise TextError(f"{source} holds nothing but white space: give one with text in it.")
    return kept


def load_documents(dataset: str, split: str = "train") -> list[str]:
    """
    The column `text` of a data set: the name of one on the Hub, with `:configuration` behind it where it has several
    ("Salesforce/wikitext:wikitext-2-raw-v1"), or a local folder. Raises TextError.
    """
    name, _, configuration = (dataset, "", "") if Path(dataset).exists() else dataset.partition(":")
    return _not_blank(_table(dataset, name, name=configuration or None, split=split), dataset)


def _table(source: str, path: str, split: str = "train", **options: str | None) -> list[str | None]:
    # Imported where it is used: it takes a second, and the built-in text and plain files do without.
    import datasets

    try:
        table = datasets.load_dataset(path, split=split, **options)
    except Exception as error:  # a dozen kinds: network, unknown name, broken file, wrong split, no space on the disk
        reason = " ".join(str(error.__cause__ or error).split())
        raise TextError(
            f"{source} cannot be loaded with `datasets` ({type(error).__name__}: {reason}): check its name, that the "
            f"file is whole, or the network."
        ) from error
    if "text" not in table.column_names:
        columns = ", ".join(table.column_names)
        raise TextError(f"{source} has no column `text`, only {columns}: rename the one that holds the text.")
    dtype = getattr(table.features["text"], "dtype", "nested values")
    if dtype not in ("string", "large_string"):
        raise TextError(f"The column `text` of {source} holds {dtype}, not text: give one string a row.")
    return table["text"][:]


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


def train_tokenizer(documents: Sequence[str], vocab_size: int = 4000, model_max_length: int = 512) -> BertTokenizer:
    """
    Uncased WordPiece as BERT's, the same for the same documents. `len(tokenizer)` is `vocab_size`, but smaller where
    the text has not so many pieces, and larger where its characters alone are more.
    """
    # The trainer numbers the characters inside words ("##a") in the order of a randomly seeded hash table, and breaks
    # ties between merges by these numbers. They are found first, on each distinct word once, and then listed in order.
    distinct = sorted(set(chain.from_iterable(document.split() for document in documents)))
    inside = sorted(piece for piece in _train(distinct, 0, []) if piece.startswith("##"))
    vocab = _train(documents, vocab_size, inside)
    return BertTokenizer(
        vocab=dict(sorted(vocab.items(), key=lambda item: item[1])), model_max_length=model_max_length
    )


def _train(texts: Sequence[str], vocab_size: int, first: list[str]) -> dict[str, int]:
    backend = BertTokenizer().backend_tokenizer
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
    return torch.cat([torch.tensor(list(chain.from_iterable(part)), dtype=torch.int64) for part in lists])


def pack(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int = 128) -> torch.Tensor:
    """
    Rows (rows, length) int64 of [CLS], `length - 2` tokens, [SEP]. Documents follow one another without a mark, as
    sentences do; the tokens that do not fill the last row are dropped. Raises TextError for less than one row.
    """
    if length < 3:
        raise ValueError(f"The row length is {length}: [CLS], [SEP] and a token need at least 3.")
    tokens = token_stream(documents, tokenizer)
    rows = len(tokens) // (length - 2)
    if rows == 0:
        raise TextError(
            f"The text has {len(tokens)} tokens, but a row of {length} needs at least {length - 2}: give more text or "
            f"a smaller length."
        )
    body = tokens[: rows * (length - 2)].view(rows, length - 2)
    edge = body.new_ones(rows, 1)
    return torch.cat([edge * tokenizer.cls_token_id, body, edge * tokenizer.sep_token_id], dim=1)


def unigram_floor(
    train_rows: torch.Tensor,
    validation_rows: torch.Tensor,
    vocab_size: int,
    special_ids: Collection[int] = range(len(SPECIAL_TOKENS)),
) -> float:
    """
    Cross entropy (nats) of the validation tokens under the frequencies of the training tokens, each counted once more
    than seen; special tokens are left out on both sides, as masking leaves them out. It is the masked-word loss of a
    network that knows words but no context: a loss says something about context as far as it is below this.
    """
    keep = torch.ones(vocab_size, dtype=torch.bool)
    keep[list(special_ids)] = False
    train, validation = (
        torch.bincount(rows.flatten(), minlength=vocab_size)[keep] for rows in (train_rows, validation_rows)
    )
    log_probabilities = torch.log((train + 1) / (train + 1).sum())
    return -(validation * log_probabilities).sum().item() / validation.sum().item()
