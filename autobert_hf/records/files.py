"""Atomic writing of files."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


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
