"""Atomic writing of files."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


class StorageError(OSError):
    """A file could not be written; its previous content is unchanged."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns errors such as a full disk into StorageError, with a message that names the file and a remedy."""
    try:
        yield
    except Exception as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        # The Rust libraries (safetensors, tokenizers) raise their own exceptions for system errors.
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        reason = "the disk is full: free some space" if full else f"{error}: check the folder"
        raise StorageError(f"Cannot write {path}: {reason}, then run the same command to go on.") from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """
    Calls `write` with a temporary name, then renames: a reader sees the old file or the new one. The temporary file is
    in a folder of its own, so that the next attempt removes all that a killed writer left (safetensors also writes
    temporary files).
    """
    folder = path.with_name(f".{path.name}.tmp")
    temporary = folder / path.name
    with disk_errors(path):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            write(temporary)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_whole(path, write)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], **metadata: object) -> None:
    """Writes a safetensors file; metadata are stored as strings."""
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_whole(path, lambda temporary: save_file(whole, temporary, {k: str(v) for k, v in metadata.items()}))


def read_metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no dict)
