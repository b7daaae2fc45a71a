"""Model folders: written whole or not at all, and a damaged one is refused in one sentence."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from accelerate.utils.memory import should_reduce_batch_size
from huggingface_hub.errors import HFValidationError
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.records.files import disk_errors, sync


T = TypeVar("T")


class ModelFileError(ValueError):
    """A model, its configuration or its tokenizer cannot be loaded."""


@contextmanager
def loading(source: str | Path) -> Iterator[None]:
    """
    Inside, something is loaded from a folder or a Hub id. The readers of transformers, tokenizers and safetensors
    raise errors of all kinds for damaged files. OSError and ValueError, whose messages are for users, pass.

    Raises:
        ModelFileError: for a `source` that is neither a folder nor an id, and all other errors but exhausted memory.
    """
    try:
        yield
    except (UnicodeError, json.JSONDecodeError) as error:
        raise _refused(source, error) from error
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error.__context__, HFValidationError):  # what is no folder is taken for an id
            raise ModelFileError(
                f"{source} is no folder, and no id of a Hub repository such as me/name: check how it is spelled."
            ) from error
        raise
    except Exception as error:
        if should_reduce_batch_size(error):
            raise
        raise _refused(source, error) from error


def read_file_of_a_model(path: Path, kind: type[T]) -> T:
    """
    A JSON file of a model that others have saved: an object (`dict`) or a `list`.

    Raises:
        ModelFileError: if it is not that.
    """
    with loading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, kind):
        raise _refused(path, TypeError(f"it holds a {type(content).__name__}, not a {kind.__name__}"))
    return content


def _refused(source: str | Path, error: Exception) -> ModelFileError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ModelFileError(
        f"{source} cannot be loaded ({reason[:500]}): one of its files is damaged or was made for another model. "
        "Save or download it again."
    )


def load_encoder(source: str, trust_remote_code: bool = False) -> PreTrainedModel:
    """The encoder of a folder or a Hub id in fp32, without a pooler if it has the option."""
    options = {"dtype": torch.float32, "trust_remote_code": trust_remote_code}
    with loading(source):
        try:
            return AutoModel.from_pretrained(source, add_pooling_layer=False, **options)
        except TypeError:  # an encoder without that option
            return AutoModel.from_pretrained(source, **options)


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    add: Callable[[Path], object] = lambda folder: None,
) -> Path:
    """
    Saves weights as safetensors, configuration, modelling files, the tokenizer if any, and the files that
    `add(folder)` writes. Replaces `folder`, and returns it.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    with disk_errors(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        model.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
        add(temporary)
        for file in temporary.rglob("*"):
            sync(file)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        sync(folder.parent)
    return folder
