"""Adapters teach with their changes in the weights of their base; code that comes with a model runs when asked for."""

import json
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

from autobert_hf.commands.analyze import load_encoder as load_analyzed
from autobert_hf.commands.convert import convert
from autobert_hf.commands.convert import load_tokenizer as load_converted
from autobert_hf.commands.measure import load_encoder
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.tokenizers import tokenizer_of
from autobert_hf.lab.distilling.adapters import adapter_base, tokenizer_source
from autobert_hf.lab.distilling.teacher import Teacher, TeacherError, load_teacher, teacher_config
from autobert_hf.lab.own_code import OwnCodeError
from autobert_hf.searchers.settings import TeacherSettings

from ..teaching import SIZES, batch


CPU = torch.device("cpu")


@pytest.fixture
def base(tokenizer: BertTokenizer, tmp_path: Path) -> Path:
    BertModel(BertConfig(**SIZES)).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def adapted(base: Path, kind: type, config, folder: Path):
    """Saves an adapter with weights drawn at random, and gives the encoder with it."""
    model = get_peft_model(kind.from_pretrained(base), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("kind", [BertModel, BertForSequenceClassification])
def test_an_adapter_answers_as_it_does_on_its_base(
    base: Path, kind: type, tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    """Also one that was trained below a head, under whose name the encoder's weights are then kept."""
    task = "SEQ_CLS" if kind is BertForSequenceClassification else None
    config = LoraConfig(task_type=task, target_modules=["query", "dense"])
    model = adapted(base, kind, config, tmp_path / "adapter")
    teacher = Teacher(str(tmp_path / "adapter"), tokenizer, CPU)
    encoder = model.base_model.model if kind is BertModel else model.base_model.model.bert
    with torch.no_grad():
        expected = encoder(**batch()).last_hidden_state
        plain = BertModel.from_pretrained(base).eval()(**batch()).last_hidden_state
    found = teacher.signals(batch()).hidden
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (found - plain).abs().max() > 0.1
    assert not [name for name, _ in teacher.model.named_parameters() if "lora" in name]
    assert type(teacher.model) is BertModel
    assert str(teacher).endswith(" without its head (AutoModelForSequenceClassification)." if task else "pooler.")


def test_its_base_belongs_to_the_run(base: Path, tmp_path: Path) -> None:
    adapted(base, BertModel, LoraConfig(target_modules=["query"]), tmp_path / "adapter")
    settings = TeacherSettings("run", teacher=str(tmp_path / "adapter"), length=16)
    known = settings.inputs()
    assert any(name.endswith(".safetensors") for name in known["base of the teacher"])
    assert known["base of the teacher"] != known["teacher"]
    BertModel(BertConfig(**SIZES)).save_pretrained(base)
    assert settings.inputs() != known
    assert tokenizer_source(str(tmp_path / "adapter")) == adapter_base(str(tmp_path / "adapter")) == str(base)
    assert tokenizer_of(settings.source(), tmp_path).get_vocab() == AutoTokenizer.from_pretrained(base).get_vocab()
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "adapter")
    assert tokenizer_source(str(tmp_path / "adapter")) == str(tmp_path / "adapter")


def test_adapters_that_cannot_teach_are_refused(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prompt"
    adapted(base, BertModel, PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=2), folder)
    with pytest.raises(TeacherError, match="prompt is of the kind PROMPT_TUNING, .*: it cannot teach"):
        load_teacher(str(folder))
    adapted(base, BertModel, LoraConfig(target_modules=["query"]), tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"target_modules": ["query", "key"]}))
    with pytest.raises(TeacherError, match="does not fit its base: it has no base_model.*key.lora_A"):
        load_teacher(str(tmp_path / "adapter"))
    file.write_text(json.dumps(config | {"base_model_name_or_path": "./no/base"}))
    with pytest.raises(TeacherError, match="encoder ./no/base cannot be loaded"):
        load_teacher(str(tmp_path / "adapter"))
    file.write_text(json.dumps(config | {"base_model_name_or_path": None}))
    with pytest.raises(TeacherError, match="adapter names no base_model_name_or_path in adapter_config.json: add it"):
        teacher_config(str(tmp_path / "adapter"))
    for content in ("{", "[]"):
        file.write_text(content)
        with pytest.raises(TeacherError, match="adapter_config.json cannot be loaded .*Save or download it again"):
            teacher_config(str(tmp_path / "adapter"))


OWN_CODE = """
from transformers import BertConfig, BertModel, BertTokenizer
from pathlib import Path

Path({mark!r}).write_text("run")


class OwnConfig(BertConfig):
    model_type = "own-bert"


class OwnModel(BertModel):
    config_class = OwnConfig


class OwnTokenizer(BertTokenizer):
    pass
"""


@pytest.fixture
def own_code(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code; an attempt to read from the terminal fails the test."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "modules")])
    monkeypatch.setattr("builtins.input", lambda *question: pytest.fail(f"asked: {question}"))
    (base / "own.py").write_text(OWN_CODE.format(mark=str(tmp_path / "mark")))
    maps = {
        "config.json": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"},
        "tokenizer_config.json": {"AutoTokenizer": ["own.OwnTokenizer", None]},
    }
    for name, classes in maps.items():
        data = json.loads((base / name).read_text()) | {"auto_map": classes}
        data |= {"model_type": "own-bert"} if name == "config.json" else {"tokenizer_class": "OwnTokenizer"}
        (base / name).write_text(json.dumps(data))
    return base


def test_code_of_its_own_is_not_run_and_nobody_is_asked(own_code: Path, tmp_path: Path) -> None:
    for load in (teacher_config, load_teacher):
        with pytest.raises(TeacherError, match="encoder .* has code of its own, .*: read it, .* --trust-remote-code"):
            load(str(own_code))
    with pytest.raises(OwnCodeError, match="The tokenizer .* has code of its own, .* give --trust-remote-code"):
        tokenizer_of(Source((), (), "", str(own_code), 0, 16, 0), tmp_path)
    for command in (load_encoder, convert, load_converted, lambda source: load_analyzed(source, [])):
        with pytest.raises(OwnCodeError, match="has code of its own, .*: `autobert search --trust-remote-code`"):
            command(str(own_code))
    assert not (tmp_path / "mark").exists()


def test_code_that_is_trusted_runs(own_code: Path, tokenizer: BertTokenizer, tmp_path: Path) -> None:
    teacher = Teacher(str(own_code), tokenizer, CPU, trust=True)
    assert (tmp_path / "mark").exists()
    assert type(teacher.model).__name__ == "OwnModel" and teacher.heads == 4
    trusted = Source((), (), "", str(own_code), 0, 16, 0, trust_remote_code=True)
    assert tokenizer_of(trusted, tmp_path / "text").get_vocab() == tokenizer.get_vocab()
    with pytest.raises(TeacherError, match="another vocabulary"):
        Teacher(str(own_code), BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1}), CPU, trust=True)
