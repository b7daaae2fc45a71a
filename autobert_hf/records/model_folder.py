"""Atomic writing of model folders."""

import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.records.files import disk_errors, sync


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
