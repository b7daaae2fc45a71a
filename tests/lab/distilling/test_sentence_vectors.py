"""Pooling belongs to the teacher: the same vectors as sentence-transformers' own."""

import json
import sys
from pathlib import Path

import pytest
import torch

from autobert_hf.lab.data.inputs import model_inputs
from autobert_hf.lab.distilling.sentence_vectors import OLD_NAMES, POOLS, SentenceVectors, sentence_vectors
from autobert_hf.lab.distilling.signals import signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.records.model_folder import ModelFileError

from ..teaching import batch
from .sentence_folders import WITHOUT, sentence_folder


TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"]


@pytest.mark.parametrize("mode", POOLS)
def test_all_poolings_are_those_of_sentence_transformers(mode: str) -> None:
    pytest.importorskip("sentence_transformers", reason=WITHOUT)
    from sentence_transformers.sentence_transformer.modules import Pooling

    hidden, mask = torch.randn(4, 9, 6, generator=torch.Generator().manual_seed(0)), batch()["attention_mask"]
    theirs = Pooling(6, mode)({"token_embeddings": hidden, "attention_mask": mask})["sentence_embedding"]
    torch.testing.assert_close(SentenceVectors((mode,)).pooled(hidden, mask.bool()), theirs)
    assert set(POOLS) == set(Pooling.POOLING_MODES) == set(OLD_NAMES.values())


@pytest.mark.parametrize(("pooling", "dense"), [("cls", 0), (("mean", "max"), 0), ("cls", 5)])
def test_a_teachers_vectors_are_those_of_its_folder(
    teacher_folder: Path, tmp_path: Path, pooling: str | tuple[str, ...], dense: int
) -> None:
    if dense and not isinstance(pooling, str):
        pytest.skip("one width")
    made = sentence_folder(teacher_folder, tmp_path / "st", pooling, dense)
    teacher = Teacher(str(tmp_path / "st"), made.tokenizer, torch.device("cpu"))
    found = signals(teacher.model, made.tokenizer(TEXTS, padding=True, return_tensors="pt"))
    vectors = torch.nn.functional.normalize(teacher.sentences(found.hidden, found.real), dim=-1)
    torch.testing.assert_close(vectors, torch.tensor(made.encode(TEXTS)), atol=1e-5, rtol=1e-5)
    assert (teacher.sentences.behind is not None) == bool(dense)


def test_older_configurations_and_none(teacher_folder: Path, tmp_path: Path) -> None:
    assert sentence_vectors(str(teacher_folder)) == SentenceVectors(("mean",))
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    old = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 24}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(old))
    assert sentence_vectors(str(tmp_path)) == SentenceVectors(("cls",))


@pytest.mark.parametrize(
    ("damaged", "content", "message"),
    [
        ("modules.json", "[{", "modules.json cannot be loaded .*JSONDecodeError.*Save or download it again"),
        ("modules.json", "{}", "modules.json cannot be loaded .*it holds a dict, not a list"),
        ("modules.json", '[{"path": ""}]', "modules.json has a module without type or path"),
        ("modules.json", "[1]", "modules.json has a module without type or path: 1"),
        ("1_Pooling/config.json", "[]", "config.json cannot be loaded .*it holds a list, not a dict"),
        ("1_Pooling/config.json", "caf\xe9", "config.json cannot be loaded .*UnicodeDecodeError"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str, content: str, message: str) -> None:
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / damaged).write_bytes(content.encode("latin1"))
    with pytest.raises(ModelFileError, match=message):
        sentence_vectors(str(tmp_path))
    if damaged == "modules.json":
        with pytest.raises(ModelFileError, match=message):
            model_inputs(str(tmp_path))


def test_an_unknown_pooling_is_said(tmp_path: Path) -> None:
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": ["cls", "attention"]}')
    with pytest.warns(UserWarning, match="The pooling attention of .* is not known here: the means"):
        assert sentence_vectors(str(tmp_path)) == SentenceVectors(("mean",))


def test_what_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("Transformer", "CNN", "Pooling")
    (tmp_path / "modules.json").write_text(json.dumps([{"path": kind, "type": f"x.{kind}"} for kind in kinds]))
    with pytest.warns(UserWarning, match="are made by CNN, Pooling, which is not known here: the means"):
        assert sentence_vectors(str(tmp_path)) == SentenceVectors()
    kinds = ("Transformer", "Pooling", "Dense")
    (tmp_path / "modules.json").write_text(json.dumps([{"path": kind, "type": f"x.{kind}"} for kind in kinds]))
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.warns(UserWarning, match="has Dense behind its pooling: without sentence-transformers"):
        assert sentence_vectors(str(tmp_path)).behind is None
