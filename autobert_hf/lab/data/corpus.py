"""The text of a run: documents in, tokenizer and packed rows out, kept in the run's folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf.lab.data import builtin_text
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.sentence_pairs import PairBatches, pair_rows
from autobert_hf.lab.data.single_texts import TextBatches, text_rows
from autobert_hf.lab.data.text import (
    TextError,
    load_documents,
    pack,
    read_documents,
    sha256_of,
    split_documents,
    train_tokenizer,
    unigram_floor,
)
from autobert_hf.records.files import disk_errors, read_tensors, write_tensors
from autobert_hf.records.seeds import derive


BUILTIN_DOCUMENTS = 20_000


@dataclass(frozen=True)
class Source:
    """Where the text comes from: files, a data set, or neither for the built-in text."""

    train_files: Sequence[str]
    validation_files: Sequence[str]
    dataset: str
    tokenizer: str
    vocab_size: int
    length: int
    seed: int
    rows: str = "packed"  # or "pairs" of sentences; or "texts": each row is one document

    def inputs(self) -> Mapping[str, str]:
        """Every input by name, files with their sha256: what a run records, free of this machine's paths."""
        if self.train_files and self.dataset:
            raise TextError("Both --train-file and --dataset were given: choose one.")
        inputs: dict[str, str] = {}
        for file in (*self.train_files, *self.validation_files):
            if not Path(file).is_file():
                raise TextError(f"{file} is not there, or is no file: check the path.")
            digest = sha256_of(file)
            if inputs.setdefault(Path(file).name, digest) != digest:
                raise TextError(f"Two of the files are called {Path(file).name}, as {file} is: rename one of them.")
        if self.dataset:
            inputs["dataset"] = self.dataset
        elif not self.train_files:
            inputs["built-in text"] = f"{BUILTIN_DOCUMENTS} documents"
        return inputs

    def documents(self) -> tuple[list[str], list[str]]:
        """Training and held-out documents."""
        if self.train_files:
            documents = read_documents(self.train_files)
        elif self.dataset:
            documents = load_documents(self.dataset)
        else:
            documents = builtin_text.corpus(BUILTIN_DOCUMENTS, self.seed)
        if self.validation_files:
            return documents, read_documents(self.validation_files)
        return split_documents(documents, seed=self.seed)


def prepare(source: Source, folder: Path) -> None:
    """Reads, tokenizes and packs once; a later call finds it in the folder."""
    if not (folder / "rows.safetensors").exists():
        train, held_out = source.documents()
        tokenizer = _tokenizer(source, train)
        with disk_errors(folder):
            tokenizer.save_pretrained(folder / "tokenizer")
        write_tensors(folder / "rows.safetensors", _rows(source, train, held_out, tokenizer))


def open_text(
    source: Source, folder: Path, batch_size: int, held_out_rows: int, seed: int, device: torch.device
) -> Text:
    """
    What `prepare` has left in the folder, as batches. `floor` is the loss of knowing word frequencies alone, in nats;
    of pairs it contains the ln 2 of guessing.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    rows, _ = read_tensors(folder / "rows.safetensors")
    floor = unigram_floor(rows["train"], rows["held_out"], len(tokenizer), tokenizer.all_special_ids)
    floor += math.log(2) if source.rows == "pairs" else 0.0
    train = _batches(source.rows, rows, "train", tokenizer, batch_size, derive(seed, "batches"))
    fewer = min(batch_size, len(rows["held_out"]))
    held_out = _batches(source.rows, rows, "held_out", tokenizer, fewer, derive(seed, "held-out"))
    return Text(tokenizer, train, held_out.held_out(held_out_rows), floor, device)


def _batches(
    kind: str,
    rows: Mapping[str, torch.Tensor],
    side: str,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    seed: int,
) -> MaskedBatches:
    if kind == "texts":
        return TextBatches(rows[side], tokenizer, batch_size, seed)
    if kind == "packed":
        return MaskedBatches(rows[side], tokenizer, batch_size, seed)
    return PairBatches(rows[side], tokenizer, batch_size, seed, rows[f"{side}_is_random"])


def _rows(
    source: Source, train: Sequence[str], held_out: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    rows = {}
    for side, documents in (("train", train), ("held_out", held_out)):
        if source.rows == "packed":
            rows[side] = pack(documents, tokenizer, source.length)
        elif source.rows == "texts":
            rows[side] = text_rows(documents, tokenizer, source.length)
        else:
            seed = derive(source.seed, side)
            rows[side], rows[f"{side}_is_random"] = pair_rows(documents, tokenizer, source.length, seed)
    return rows


def _tokenizer(source: Source, documents: Sequence[str]) -> PreTrainedTokenizerBase:
    if not source.tokenizer:
        return train_tokenizer(documents, source.vocab_size, max(source.length, 128))
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.tokenizer)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TextError(
            f"The tokenizer {source.tokenizer} cannot be loaded ({reason}): check its name or folder, or leave "
            "--tokenizer out to have one trained."
        ) from error
    for name in ("pad_token_id", "mask_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, name) is None:
            raise TextError(
                f"The tokenizer {source.tokenizer} has no {name.removesuffix('_id')}: masked-language training needs "
                "one. Leave --tokenizer out to have one trained."
            )
    return tokenizer
