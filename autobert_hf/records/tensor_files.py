"""
Tensors of a run in safetensors files. The metadata hold a checksum of the tensors and one of the other metadata, so
that a file that was changed or damaged is refused instead of used.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.files import write_whole


TENSORS, METADATA = "checksum of the tensors", "checksum of the metadata"


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], **metadata: object) -> None:
    """Writes a safetensors file; metadata are stored as strings."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    told = {name: str(value) for name, value in metadata.items()} | {TENSORS: _checksum(whole)}
    told[METADATA] = _told_checksum(told)
    write_whole(path, lambda temporary: save_file(whole, temporary, told))


def read_metadata(path: Path) -> dict[str, str]:
    """
    The metadata alone, without reading the tensors.

    Raises:
        DamagedFileError: if they are not as they were written.
    """
    with _opened(path) as file:
        told = _told(path, file)
    return {name: value for name, value in told.items() if name != TENSORS}


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """
    Tensors and metadata.

    Raises:
        DamagedFileError: if they are not as they were written.
    """
    with _opened(path) as file:
        told = _told(path, file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    if told.pop(TENSORS, None) != _checksum(tensors):
        raise DamagedFileError(path, "holds other tensors than were written there, as their checksum says")
    return tensors, told


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Inside, the content of `path` is loaded: DamagedFileError if it is that of another network or training."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(path, f"does not belong to this run: it fits another network ({reason})") from error


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise DamagedFileError(path, f"is not a whole safetensors file ({error})") from error


def _told(path: Path, file: safe_open) -> dict[str, str]:
    told = dict(file.metadata() or {})
    written = told.pop(METADATA, None)
    if written is None:
        raise DamagedFileError(path, "has no checksum: an earlier version of autobert-hf wrote it, or another program")
    if written != _told_checksum(told):
        raise DamagedFileError(path, "holds other metadata than were written there, as their checksum says")
    return told


def _checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    """Quick rather than cryptographic: a checkpoint of gigabytes is written twice a minute."""
    found = 0
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tensor.dtype} {[*tensor.shape]}".encode(), found)
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _told_checksum(told: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(told, sort_keys=True).encode()):08x}"
