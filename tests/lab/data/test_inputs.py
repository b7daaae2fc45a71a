"""What identifies a run's inputs: content, wherever it lies."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from autobert_hf.lab.data.inputs import folder_inputs, model_inputs, public_name


def of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Of files that matter: the names are the contents."""
    folder = tmp_path / "somewhere" / "minilm"
    (folder / "1_Pooling").mkdir(parents=True)
    modules = json.dumps([{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "Pooling"}])
    (folder / "modules.json").write_text(modules)
    for name in ("config.json", "pytorch_model.bin", "vocab.txt", "1_Pooling/config.json"):
        (folder / name).write_text(name)
    return folder


def test_a_model_with_pickled_weights_is_known_by_them(model: Path) -> None:
    """Not by its path, which a changed file would leave as it is."""
    found = model_inputs(str(model))
    names = ("config.json", "modules.json", "pytorch_model.bin", "vocab.txt", "1_Pooling/config.json")
    assert set(found) == {f"minilm/{name}" for name in names}
    assert found["minilm/pytorch_model.bin"] == of("pytorch_model.bin")
    for name in ("config.json", "pytorch_model.bin", "vocab.txt", "1_Pooling/config.json"):
        (model / name).write_text("changed")
        assert model_inputs(str(model)) != found
        (model / name).write_text(name)
    assert model_inputs(str(model)) == found


def test_it_is_the_same_under_another_path_and_with_other_files_beside_it(model: Path, tmp_path: Path) -> None:
    found = model_inputs(str(model))
    shutil.move(model, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("mine")
    (tmp_path / "elsewhere" / "training_args.bin").write_text("not weights")
    assert [*model_inputs(str(tmp_path / "elsewhere")).values()] == [*found.values()]


def test_of_two_kinds_of_weights_those_count_that_transformers_loads(model: Path) -> None:
    (model / "model.safetensors").write_text("x")
    found = model_inputs(str(model))
    assert found["minilm/model.safetensors"] == of("x") and "minilm/pytorch_model.bin" not in found


def test_an_id_of_the_hub_is_its_name(tmp_path: Path) -> None:
    assert model_inputs("some/model") == {"some/model": ""}
    assert public_name("some/model") == "some/model"
    assert public_name(f"{tmp_path}/.") == tmp_path.name


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    for name in ("in/a.txt", "in/deep/a.txt", "in/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert folder_inputs(tmp_path / "in") == {name: of(name) for name in ("in/a.txt", "in/deep/a.txt")}
