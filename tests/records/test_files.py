"""Files are written whole or not at all, and a disk that refuses is one sentence."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from autobert_hf.records import files
from autobert_hf.records.files import StorageError, write_text, write_whole
from autobert_hf.records.tensor_files import read_tensors, write_tensors


def test_text_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "note.txt"
    write_text(path, "grün\n")
    assert path.read_bytes() == "grün\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["note.txt"]


def test_tensors_come_back_with_their_metadata(tmp_path: Path) -> None:
    """Views, transposed and trained ones too, as they stand: what is written is what the names show."""
    matrix = torch.nn.Parameter(torch.arange(12.0).view(3, 4))
    tensors = {"plain": matrix, "turned": matrix.T, "middle": matrix[:, 1:3], "small": torch.ones(2).bfloat16()}
    write_tensors(tmp_path / "a.safetensors", tensors, step=7, curve="[]")
    found, metadata = read_tensors(tmp_path / "a.safetensors")
    assert metadata == {"step": "7", "curve": "[]"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in found)


def test_tensors_read_survive_their_file(tmp_path: Path) -> None:
    """A round's weights are used after the file is deleted or replaced."""
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.ones(1000)})
    found, _ = read_tensors(path)
    write_tensors(path, {"x": torch.zeros(1000)})
    path.unlink()
    assert found["x"].eq(1).all()


def failing_half_way(path: Path) -> None:
    path.write_text("half")
    (path.parent / "of a library's own").write_text("half")
    raise ValueError("what the writer thinks")


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ValueError, match="^what the writer thinks$"):
        write_whole(path, failing_half_way)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda *arguments, **options: None)
        with pytest.raises(ValueError, match="thinks"):
            write_whole(path, failing_half_way)
    assert not path.exists()
    assert any(tmp_path.iterdir())
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, order = tmp_path / "a.txt", []
    replace = Path.replace

    def renamed(source: Path, target: Path) -> Path:
        order.append(f"rename to {target.name}")
        return replace(source, target)

    def synced(descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        order.append("content" if name.is_file() else f"folder {name}")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(path, "x")
    assert order == ["content", "rename to a.txt", f"folder {tmp_path}"]


def system_says(number: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    return write


def rust_says(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        raise Exception(text)

    return write


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (system_says(errno.ENOSPC), "the disk is full: free some space"),
        (rust_says("I/O error: No space left on device (os error 28)"), "the disk is full: free some space"),
        (system_says(errno.EROFS), "Read-only file system: check the folder"),
        (rust_says("I/O error: File too large (os error 27)"), r"File too large \(os error 27\): check the folder"),
    ],
)
def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path, write: Callable[[Path], None], reason: str) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(StorageError, match=f"^Cannot write {path}: .*{reason}, then run the same command to go on.$"):
        write_whole(path, write)
    assert path.read_text() == "old"


def test_safetensors_itself_says_so(tmp_path: Path) -> None:
    """The real library on a path that the system refuses."""
    path = tmp_path / "a.safetensors"
    with pytest.raises(StorageError, match="No such file or directory"):
        write_whole(path, lambda temporary: save_file({"x": torch.ones(2)}, temporary / "nowhere" / "x"))


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write .*file/a.txt"):
        write_text(tmp_path / "file" / "a.txt", "x")
