"""Folders that sentence-transformers loads: of the same encoder and of a student."""

import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from autobert_hf import AutoBertModel
from autobert_hf.cli import main
from autobert_hf.lab.distilling.sentence_files import add_sentence_files
from autobert_hf.records.model_folder import save_model

from .sentence_folders import sentence_folder


TEXTS = ["w1 w2 w3", "w4", " ".join(f"w{word}" for word in range(40))]


@pytest.fixture
def source(teacher_folder: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A folder with CLS pooling, a dense layer, normalization and a prompt, and its vectors of the texts."""
    made = sentence_folder(teacher_folder, tmp_path / "source", "cls", dense=5)
    return tmp_path / "source", made.encode(TEXTS, prompt_name="query")


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_converted_folder_gives_the_same_vectors(
    source: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch,
    is_installed: bool,
) -> None:  # fmt: skip
    from sentence_transformers import SentenceTransformer

    folder, expected = source
    with monkeypatch.context() as patch:
        if not is_installed:
            patch.setitem(sys.modules, "sentence_transformers", None)
        for one, other in ((folder, "ours"), (tmp_path / "ours", "again")):
            assert main(["convert", str(one), str(tmp_path / other)]) == 0
            assert "with its sentence-transformers modules" in capsys.readouterr().out
    for name in ("ours", "again"):
        opened = SentenceTransformer(str(tmp_path / name), device="cpu")
        assert [type(module).__name__ for module in opened] == ["Transformer", "Pooling", "Dense", "Normalize"]
        assert opened.max_seq_length == 20
        np.testing.assert_allclose(opened.encode(TEXTS, prompt_name="query"), expected, atol=1e-5)


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_student_gets_what_fits_it_and_what_does_not_is_said(
    source: tuple[Path, np.ndarray], tmp_path: Path, student: AutoBertModel, monkeypatch: pytest.MonkeyPatch,
    is_installed: bool,
) -> None:  # fmt: skip
    from sentence_transformers import SentenceTransformer

    folder, _ = source
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with (
        monkeypatch.context() as patch,
        pytest.warns(UserWarning, match=r"student is written without Dense of .*: whose"),
    ):
        if not is_installed:
            patch.setitem(sys.modules, "sentence_transformers", None)
        save_model(student, tokenizer, tmp_path / "student", lambda place: add_sentence_files(str(folder), place))
    opened = SentenceTransformer(str(tmp_path / "student"), device="cpu")
    assert [type(module).__name__ for module in opened] == ["Transformer", "Pooling", "Normalize"]
    assert (opened[1].pooling_mode, opened[1].embedding_dimension) == ("cls", 16)
    assert opened.prompts["query"] == "w1 w2 "
    hidden = student(**tokenizer(TEXTS[:2], padding=True, return_tensors="pt")).last_hidden_state[:, 0]
    expected = (hidden / hidden.norm(dim=-1, keepdim=True)).detach().numpy()
    np.testing.assert_allclose(opened.encode(TEXTS[:2]), expected, atol=1e-5)


def test_no_longer_texts_than_the_student_has_positions(
    teacher_folder: Path, tmp_path: Path, student: AutoBertModel
) -> None:
    sentence_folder(teacher_folder, tmp_path / "source", "mean")
    from sentence_transformers import SentenceTransformer

    student.config.max_position_embeddings = 12
    tokenizer = AutoTokenizer.from_pretrained(teacher_folder)
    short = type(student)(student.config)
    save_model(short, tokenizer, tmp_path / "it", lambda place: add_sentence_files(str(tmp_path / "source"), place))
    opened = SentenceTransformer(str(tmp_path / "it"), device="cpu")
    assert opened.max_seq_length == 12
    assert opened.encode(TEXTS).shape == (3, 16)


def test_pickled_weights_are_not_copied(
    source: tuple[Path, np.ndarray], tmp_path: Path, student: AutoBertModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = source
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    student.save_pretrained(tmp_path / "it")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.warns(UserWarning, match="it is written without Dense of .*no safetensors; `pip install"):
        assert add_sentence_files(str(folder), tmp_path / "it", is_converted=True)
    assert not [*(tmp_path / "it").rglob("*.bin")]


def test_modules_that_cannot_be_loaded_do_not_end_a_run(
    source: tuple[Path, np.ndarray], tmp_path: Path, student: AutoBertModel
) -> None:
    folder, _ = source
    (folder / "modules.json").write_text(
        (folder / "modules.json").read_text().replace("normalize.Normalize", "my.Own")
    )
    student.save_pretrained(tmp_path / "it")
    with pytest.warns(UserWarning, match="it is written without the modules of "):
        assert not add_sentence_files(str(folder), tmp_path / "it", is_converted=True)
    assert not (tmp_path / "it" / "modules.json").exists()


def test_damaged_settings_do_not_end_a_run_without_sentence_transformers(
    source: tuple[Path, np.ndarray], tmp_path: Path, student: AutoBertModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = source
    (folder / "config_sentence_transformers.json").write_text("[]")
    student.save_pretrained(tmp_path / "it")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.warns(UserWarning, match="it is written without the modules of .*it holds a list, not a dict"):
        assert not add_sentence_files(str(folder), tmp_path / "it", is_converted=True)
    assert not (tmp_path / "it" / "modules.json").exists()


def test_others_get_nothing(teacher_folder: Path, tmp_path: Path) -> None:
    assert not add_sentence_files(str(teacher_folder), tmp_path)
    assert not [*tmp_path.iterdir()]
