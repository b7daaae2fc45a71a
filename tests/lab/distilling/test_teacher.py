"""Who can teach, what a teacher is asked, and how often."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizer,
    GPT2Config,
    LongformerConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
)
from transformers.utils import logging

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.linear_floor import linear_floor
from autobert_hf.lab.distilling.signals import DistillationError, signals
from autobert_hf.lab.distilling.teacher import Teacher, TeacherError, load_teacher, teacher_config

from ..teaching import SIZES, batch


CPU = torch.device("cpu")


def test_it_answers_without_gradients_and_without_dropout(teacher: Teacher) -> None:
    assert not teacher.model.training
    assert all(not parameter.requires_grad for parameter in teacher.model.parameters())
    one, other = teacher.signals(batch()), teacher.signals(batch())
    assert torch.equal(one.hidden, other.hidden) and not one.hidden.requires_grad
    assert torch.equal(one.hidden, signals(teacher.model, batch()).hidden)
    assert one.attention is not None and teacher.signals(batch(), attention=False).attention is None
    assert teacher.config is teacher.model.config


def test_its_heads_are_those_of_the_last_attention_layer(teacher: Teacher) -> None:
    assert teacher.heads == 4


def test_one_without_the_attention_interface_has_no_heads(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    skips = {index: {"skip": ["mixer"]} for index in (0, 1)}
    AutoBertModel(AutoBertConfig(**SIZES, per_layer_config=skips), add_pooling_layer=False).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    teacher = Teacher(str(tmp_path), tokenizer, CPU)
    assert teacher.signals(batch()).attention is None
    with pytest.raises(
        DistillationError, match="The teacher's attention does not go through .*: give --loss sentences"
    ):
        teacher.heads  # noqa: B018


def test_a_head_on_it_is_left_out(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    whole = BertForMaskedLM(BertConfig(**SIZES)).eval()
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = whole.bert(**batch()).last_hidden_state
    torch.testing.assert_close(Teacher(str(tmp_path), tokenizer, CPU).signals(batch()).hidden, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_one_in_half_precision_teaches_in_fp32(
    teacher_folder: Path, tokenizer: BertTokenizer, tmp_path: Path, texts: Text, dtype: torch.dtype
) -> None:
    half = BertModel.from_pretrained(teacher_folder, add_pooling_layer=False).to(dtype)
    half.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    teacher = Teacher(str(tmp_path), tokenizer, CPU)
    assert {weight.dtype for weight in teacher.model.parameters()} == {torch.float32}
    with torch.no_grad():
        expected = half.float()(**batch()).last_hidden_state
    torch.testing.assert_close(teacher.signals(batch()).hidden, expected, atol=1e-5, rtol=1e-5)
    floor = linear_floor(teacher.model, texts.fitting_batches("floor"), texts.on_device(texts.held_out))
    assert 0 < floor < 2


def test_what_it_remembers_is_asked_once(teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all students of a run: asking it to remember again does not make it forget."""
    direct, asked = teacher.signals(batch()), []
    forward = BertModel.forward
    monkeypatch.setattr(BertModel, "forward", lambda model, **given: asked.append(1) or forward(model, **given))
    for seed in (0, 1):
        teacher.signals(batch(seed))
    assert len(asked) == 2
    for _ in range(3):
        teacher.remember()
        for seed in (0, 1):
            found = teacher.signals(batch(seed))
        teacher.signals(batch(0))
    assert len(asked) == 4
    torch.testing.assert_close(teacher.signals(batch()).hidden, direct.hidden, rtol=0, atol=0)
    assert found.attention is not None


def test_transformers_warns_as_before_when_it_is_loaded(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    BertModel(BertConfig(**SIZES)).save_pretrained(tmp_path)
    logging.set_verbosity_info()
    load_teacher(str(tmp_path))
    assert logging.get_verbosity() == logging.INFO


def test_another_vocabulary_is_refused(teacher_folder: Path, tokenizer: BertTokenizer, tmp_path: Path) -> None:
    """Also where it has as many words, in another order."""
    words = list(tokenizer.get_vocab())
    for changed in ([*words[:-2], words[-1], words[-2]], words[:-1]):
        other = BertTokenizer(vocab={word: index for index, word in enumerate(changed)})
        with pytest.raises(
            TeacherError, match=r"another vocabulary than that of the teacher .* leave --tokenizer out"
        ):
            Teacher(str(teacher_folder), other, CPU)


def test_a_tokenizer_with_more_words_than_embeddings_is_refused(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    BertModel(BertConfig(**(SIZES | {"vocab_size": 50}))).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="has 60 words, its embeddings 50: they do not belong together"):
        Teacher(str(tmp_path), tokenizer, CPU)


@pytest.mark.parametrize("config", [GPT2Config(), T5Config(), BertConfig(is_decoder=True)])
def test_only_encoders_teach(config: object, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match=f"is a '{config.model_type}' model, no encoder"):
        teacher_config(str(tmp_path))


def test_one_that_reads_too_little(teacher_folder: Path) -> None:
    assert teacher_config(str(teacher_folder), 32).hidden_size == 24
    with pytest.raises(TeacherError, match="takes 32 tokens, --length is 33: give less"):
        teacher_config(str(teacher_folder), 33)


@pytest.mark.parametrize("kind", [RobertaConfig, XLMRobertaConfig, MPNetConfig, LongformerConfig])
def test_positions_that_start_behind_the_padding_token(kind: type[PreTrainedConfig], tmp_path: Path) -> None:
    """514 of them are 512 tokens."""
    config = kind(**SIZES, **({"attention_window": 4} if kind is LongformerConfig else {}))
    config.save_pretrained(tmp_path)
    assert teacher_config(str(tmp_path), 30).model_type == config.model_type
    with pytest.raises(TeacherError, match="takes 30 tokens, --length is 31: give less"):
        teacher_config(str(tmp_path), 31)
    model = AutoModel.from_config(config).eval()
    word = {"input_ids": torch.full((1, 30), 5), "attention_mask": torch.ones(1, 30).long()}
    assert model(**word).last_hidden_state.shape[1] >= 30


def test_one_whose_configuration_does_not_say_what_it_reads(teacher: Teacher) -> None:
    teacher.check_length(32)
    with pytest.raises(TeacherError, match=r"teacher.* cannot read --length 33 tokens \(.*\): give less"):
        teacher.check_length(33)


def test_a_vocabulary_with_holes_ends_at_its_largest_id(tmp_path: Path) -> None:
    words = {word: 2 * index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w1"])}
    tokenizer = BertTokenizer(vocab=words)
    tokenizer.save_pretrained(tmp_path)
    BertModel(BertConfig(**(SIZES | {"vocab_size": 10}))).save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="has 11 words, its embeddings 10"):
        Teacher(str(tmp_path), tokenizer, CPU)


def test_one_that_is_not_there(tmp_path: Path, tokenizer: BertTokenizer) -> None:
    for name in (str(tmp_path), "./no/such/folder"):
        with pytest.raises(TeacherError, match=r"The encoder .* cannot be loaded .*: check its name or folder") as it:
            Teacher(name, tokenizer, CPU)
        assert "\n" not in str(it.value)
