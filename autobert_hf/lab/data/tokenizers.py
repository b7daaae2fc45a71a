"""The tokenizer of a run: the one that was asked for, or one that is trained on its text."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf.lab.data.byte_level import mark_share, train_byte_level, unknown_share
from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.row_making import chunks, split
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import edges, train_tokenizer
from autobert_hf.lab.distilling.adapters import tokenizer_source
from autobert_hf.lab.own_code import OwnCodeError, own_code_refused
from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.files import disk_errors
from autobert_hf.records.json_files import read_record, write_record
from autobert_hf.records.model_folder import loading


CHARACTERS = 48_000_000  # that one is trained on, evenly taken from larger text
PER_TOKEN = 5  # characters, about: of a text that is read up to a number of tokens no more is needed
MEASURED = 1_000_000  # characters, about, on which the shares of a trained tokenizer are counted
UNKNOWN = 0.05  # of the characters: where WordPiece knows fewer, bytes are taken
MADE = "made.json"


def tokenizer_of(source: Source, folder: Path) -> PreTrainedTokenizerBase:
    """The one that was asked for or trained, saved before anything is made with it."""
    place = folder / "tokenizer"
    if not (place / "tokenizer_config.json").exists():
        made, facts = (_load(source), {}) if source.tokenizer else _train(source)
        temporary = place.with_name(".tokenizer.tmp")
        with disk_errors(folder):
            shutil.rmtree(temporary, ignore_errors=True)
            made.save_pretrained(temporary)
            write_record(temporary / MADE, facts)
            shutil.rmtree(place, ignore_errors=True)
            temporary.rename(place)
    return open_tokenizer(place, source)


def open_tokenizer(place: Path, source: Source) -> PreTrainedTokenizerBase:
    """
    The copy in the run's folder, which may need the code that came with it.

    Raises:
        DamagedFileError: if it cannot be loaded.
    """
    try:
        with loading(place):
            return AutoTokenizer.from_pretrained(place, trust_remote_code=source.trust_remote_code)
    except (OSError, ValueError) as error:
        raise DamagedFileError(place, f"holds no tokenizer ({' '.join(str(error).split())})") from error


def what_was_made(folder: Path) -> dict[str, Any]:
    """Of the tokenizer that `tokenizer_of` trained, see `_chosen`; nothing of one that was given."""
    return read_record(folder / "tokenizer" / MADE)


def _train(source: Source) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """On the training documents, every so-manieth of larger text."""
    most = math.inf if source.max_train_tokens is None else PER_TOKEN * source.max_train_tokens
    step = 1 if source.size is None else max(math.ceil(min(source.size, most) / CHARACTERS), 1)
    taken: list[str] = []
    read = 0
    for chunk in chunks(source.documents(), source.rows):
        train = chunk.documents if source.validation_files else split(chunk, source.seed)[0]
        taken += train[::step]
        read += sum(map(len, chunk.documents))
        if read >= min(step * CHARACTERS, most):
            break
    return _chosen(taken, source)


def _chosen(documents: Sequence[str], source: Source) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """
    WordPiece, or byte-level where too much of the text would be unknown to it: scripts without spaces, whose words are
    whole sentences, and more characters than it counts. Of WordPiece the shares of unknown characters and of marks.
    """
    sizes = source.vocab_size, max(source.length, 128), source.cased
    made: PreTrainedTokenizerBase = train_tokenizer(documents, *sizes)
    some = documents[:: max(sum(map(len, documents)) // MEASURED, 1)]
    unknown, marks = unknown_share(some, made), 0.0 if source.cased else mark_share(some)
    kind = "WordPiece" if unknown <= UNKNOWN else "byte-level BPE"
    if unknown > UNKNOWN:
        made, marks = train_byte_level(documents, *sizes), 0.0
    return made, {"kind": kind, "cased": source.cased, "unknown_to_wordpiece": unknown, "marks_lost": marks}


def _load(source: Source) -> PreTrainedTokenizerBase:
    name, trust = source.tokenizer, source.trust_remote_code
    try:
        with own_code_refused(f"The tokenizer {name}"), loading(name):
            tokenizer = AutoTokenizer.from_pretrained(tokenizer_source(name), trust_remote_code=trust)
    except OwnCodeError:
        raise
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TextError(
            f"The tokenizer {name} cannot be loaded ({reason}): check its name or folder, or leave --tokenizer out to "
            "have one trained."
        ) from error
    if not {*tokenizer.get_vocab()} - {*tokenizer.all_special_tokens}:
        raise TextError(
            f"The tokenizer {name} has no words: there is no tokenizer.json or vocabulary there. Add that of the "
            "model, or leave --tokenizer out to have one trained."
        )
    if source.rows == "unmasked":
        return _with_ends(tokenizer, name)
    for special in ("pad_token_id", "mask_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, special) is None:
            raise TextError(
                f"The tokenizer {name} has no {special.removesuffix('_id')}: masked-language training needs one. "
                "Leave --tokenizer out to have one trained."
            )
    return tokenizer


def _with_ends(tokenizer: PreTrainedTokenizerBase, name: str) -> PreTrainedTokenizerBase:
    """For next words it needs no mask; one without padding, as GPT-2's, pads with the mark of a text's end."""
    if None in edges(tokenizer):
        raise TextError(
            f"The tokenizer {name} has neither [CLS] and [SEP] nor tokens for the beginning and end of a text "
            "(bos_token, eos_token): set them, or leave --tokenizer out to have one trained."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.sep_token
    return tokenizer
