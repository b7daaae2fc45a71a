"""The tokenizer of a run: the one that was asked for, or one that is trained on its text."""

import math
import shutil
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.row_making import chunks, split
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.files import disk_errors
from autobert_hf.records.model_folder import loading


CHARACTERS = 48_000_000  # that one is trained on, evenly taken from larger text
PER_TOKEN = 5  # characters, about: of a text that is read up to a number of tokens no more is needed


def tokenizer_of(source: Source, folder: Path) -> PreTrainedTokenizerBase:
    """The one that was asked for or trained, saved before anything is made with it."""
    place = folder / "tokenizer"
    if not (place / "tokenizer_config.json").exists():
        made = _train(source) if not source.tokenizer else _load(source.tokenizer)
        temporary = place.with_name(".tokenizer.tmp")
        with disk_errors(folder):
            shutil.rmtree(temporary, ignore_errors=True)
            made.save_pretrained(temporary)
            shutil.rmtree(place, ignore_errors=True)
            temporary.rename(place)
    return saved_tokenizer(place)


def saved_tokenizer(place: Path) -> PreTrainedTokenizerBase:
    """
    Raises:
        DamagedFileError: if it cannot be loaded.
    """
    try:
        with loading(place):
            return AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise DamagedFileError(place, f"holds no tokenizer ({' '.join(str(error).split())})") from error


def _train(source: Source) -> PreTrainedTokenizerBase:
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
    return train_tokenizer(taken, source.vocab_size, max(source.length, 128))


def _load(name: str) -> PreTrainedTokenizerBase:
    try:
        with loading(name):
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TextError(
            f"The tokenizer {name} cannot be loaded ({reason}): check its name or folder, or leave --tokenizer out to "
            "have one trained."
        ) from error
    for special in ("pad_token_id", "mask_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, special) is None:
            raise TextError(
                f"The tokenizer {name} has no {special.removesuffix('_id')}: masked-language training needs one. "
                "Leave --tokenizer out to have one trained."
            )
    return tokenizer
