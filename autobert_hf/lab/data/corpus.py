"""The text of a run: documents in, tokenizer and rows out, kept in the run's folder."""

import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.next_words import NextWordBatches
from autobert_hf.lab.data.row_files import RowFiles, read_metadata, read_rows, write_rows
from autobert_hf.lab.data.row_making import RowMaker, chunks, in_order
from autobert_hf.lab.data.sentence_pairs import PairBatches
from autobert_hf.lab.data.single_texts import TextBatches
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import edges, unigram_floor, vocabulary_size
from autobert_hf.lab.data.tokenizers import open_tokenizer, tokenizer_of, what_was_made
from autobert_hf.records.json_files import read_record, write_record
from autobert_hf.records.seeds import derive


BATCHES: dict[str, type[MaskedBatches]] = {"texts": TextBatches, "unmasked": NextWordBatches}
NAMES = {"train": "training", "held_out": "held-out"}


def prepare(source: Source, folder: Path, processes: int | None = None) -> None:
    """
    Reads, tokenizes and packs once; a later call finds it in the folder. Killed in between, it goes on at the same
    document. `processes`: of tokenizing; without, one a core, but on macOS a single one, where forking is not safe.

    Raises:
        TextError: if the text cannot be read, or makes no row.
    """
    if (folder / "text.json").exists():
        return
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    tokenizer = tokenizer_of(source, folder)
    for side, documents in source.sides.items():
        splits = side == "train" and not source.validation_files
        maker = RowMaker(tokenizer, source.rows, source.length, source.seed, splits)
        _make_rows(source, maker, side, documents, folder / "rows", processes or cores)
    facts = _facts(source, folder, tokenizer)
    write_record(folder / "text.json", facts)


def _make_rows(
    source: Source, maker: RowMaker, side: str, documents: Iterator[str], folder: Path, processes: int
) -> None:
    """One file a chunk; a chunk whose last file is there is done."""
    done = _files(folder, side)
    start = int(read_metadata(done[-1])["documents"]) if done else 0
    most = _most_tokens(source, side)
    tokens = sum(int(read_metadata(file)["tokens"]) for file in done)
    if most is not None and tokens >= most:
        return
    given = chunks(documents, source.rows, len(done), start)
    bar = tqdm(desc=f"{NAMES[side]} text", unit="token", unit_scale=True, initial=tokens, disable=None)
    with bar:
        for chunk, made in in_order(maker, given, processes):
            named = made if side == "train" else {side: made["train"]}
            for name, rows in reversed(named.items()):  # of the two sides of a chunk the training rows come last
                facts = {"documents": chunk.end, "tokens": len(rows["ids"].combine_chunks().values)}
                write_rows(folder / f"{name}-{chunk.number:05d}.arrow", rows, **facts)
            new = facts["tokens"]
            tokens += new
            bar.update(new)
            if most is not None and tokens >= most:
                break


def _files(folder: Path, side: str) -> list[Path]:
    """In order, up to the first that is not there."""
    found = sorted(folder.glob(f"{side}-*.arrow"))
    return [file for number, file in enumerate(found) if file.name == f"{side}-{number:05d}.arrow"]


def open_text(
    source: Source, folder: Path, batch_size: int, held_out_rows: int, seed: int, device: torch.device
) -> Text:
    """What `prepare` has left in the folder, as batches."""
    tokenizer = open_tokenizer(folder / "tokenizer", source)
    facts = read_facts(folder)
    rows = {
        side: RowFiles(row_tables(folder, side), tokenizer.pad_token_id, _most_tokens(source, side))
        for side in ("train", "held_out")
    }
    train = _batches(source.rows, rows["train"], tokenizer, batch_size, derive(seed, "batches"))
    fewer = min(batch_size, len(rows["held_out"]))
    held_out = _batches(source.rows, rows["held_out"], tokenizer, fewer, derive(seed, "held-out"))
    return Text(tokenizer, train, held_out.held_out(held_out_rows), facts["floor"], device, facts)


def read_facts(folder: Path) -> dict[str, Any]:
    return read_record(folder / "text.json")


def _batches(
    kind: str, rows: RowFiles, tokenizer: PreTrainedTokenizerBase, batch_size: int, seed: int
) -> MaskedBatches:
    if rows.labels is not None:
        return PairBatches(rows, tokenizer, batch_size, seed, rows.labels)
    return BATCHES.get(kind, MaskedBatches)(rows, tokenizer, batch_size, seed)


def row_tables(folder: Path, side: str) -> list[pa.Table]:
    """Of the side `train` or `held_out`, from the folder that `prepare` was given."""
    return [*map(read_rows, _files(folder / "rows", side))]


def _facts(source: Source, folder: Path, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    How much text there is, the share of unknown words, and the loss of knowing word frequencies alone (`floor`, nats;
    of pairs with the ln 2 of guessing).

    Raises:
        TextError: if one side has no row, or none of its words is known.
    """
    rows, counts, size = {}, {}, vocabulary_size(tokenizer)
    for side in ("train", "held_out"):
        rows[side], counts[side] = _counted(_files(folder / "rows", side), size, _most_tokens(source, side))
        if reason := _unfit(rows[side], counts[side], tokenizer, source.length):
            shutil.rmtree(folder)  # more text makes another tokenizer, another length other rows
            raise TextError(f"The {NAMES[side]} text {reason}.")
    # A tokenizer of bytes may name the mark between texts as its unknown word, of which it has none.
    unknown = None if tokenizer.unk_token_id in edges(tokenizer) else tokenizer.unk_token_id
    words = np.delete(counts["train"], [i for i in tokenizer.all_special_ids if i != unknown]).sum()
    holes = {*range(size)} - {*tokenizer.get_vocab().values()}
    floor = unigram_floor(counts["train"], counts["held_out"], {*tokenizer.all_special_ids, *holes})
    return {
        "train_rows": rows["train"],
        "held_out_rows": rows["held_out"],
        "train_tokens": int(counts["train"].sum()),
        "unknown": 0.0 if unknown is None else float(counts["train"][unknown] / words),
        "floor": floor + (math.log(2) if source.rows == "pairs" else 0.0),
        "tokenizer": what_was_made(folder),
    }


def _unfit(rows: int, counts: np.ndarray, tokenizer: PreTrainedTokenizerBase, length: int) -> str:
    if not rows:
        return (
            f"is too short for one row of {length}, which needs at least {length - 2} tokens: give more text or a "
            "smaller length"
        )
    if not np.delete(counts, tokenizer.all_special_ids).any():
        return "has no word that the tokenizer knows: give a --tokenizer that knows the language and its script"
    return ""


def _counted(files: Sequence[Path], vocab_size: int, most: int | None) -> tuple[int, np.ndarray]:
    """The number of rows and how often each word stands there. What is mapped counts as memory: one file at a time."""
    number, counts = 0, np.zeros(vocab_size, dtype=np.int64)
    for file in files:
        rows = RowFiles([read_rows(file)], 0, None if most is None else most - int(counts.sum()))
        number += len(rows)
        counts += rows.counts(vocab_size)
    return number, counts


def _most_tokens(source: Source, side: str) -> int | None:
    return source.max_train_tokens if side == "train" else None
