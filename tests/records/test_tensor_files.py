"""Tensors that are not as they were written are refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.tensor_files import fitting, read_metadata, read_tensors, write_tensors


TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4).bfloat16(), "c": torch.zeros(()), "d": torch.empty(0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "weights.safetensors", TENSORS, step=7)
    return tmp_path / "weights.safetensors"


def test_every_byte_counts(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            tensors, metadata = read_tensors(path)
        except DamagedFileError as error:
            assert str(path) in str(error)
            continue
        assert metadata == {"step": "7"}  # spaces at the end of the header say nothing
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_half_a_file(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    for read in (read_metadata, read_tensors):
        with pytest.raises(DamagedFileError, match="is not a whole safetensors file"):
            read(path)


def test_one_of_another_program(path: Path) -> None:
    save_file(load_file(path), path, {"step": "7"})
    for read in (read_metadata, read_tensors):
        with pytest.raises(DamagedFileError, match="has no checksum: an earlier version"):
            read(path)


def test_metadata_alone_are_checked_too(path: Path) -> None:
    assert read_metadata(path) == {"step": "7"}
    path.write_bytes(path.read_bytes().replace(b'"step":"7"', b'"step":"8"'))
    with pytest.raises(DamagedFileError, match="holds other metadata than were written there"):
        read_metadata(path)


@pytest.mark.parametrize("error", [KeyError("model.x"), RuntimeError("size mismatch"), ValueError("states")])
def test_one_of_another_network(path: Path, error: Exception) -> None:
    with pytest.raises(DamagedFileError, match="does not belong to this run"), fitting(path):
        raise error
