"""What is checked and said of a teacher before anything is trained."""

import re
import warnings
from pathlib import Path

import pytest
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.teacher import TeacherError
from autobert_hf.lab.training.team import Team
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import TeacherSettings, TeacherStartSettings


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
    BertTokenizer(vocab=words).save_pretrained(tmp_path)
    RobertaModel(RobertaConfig(vocab_size=6, max_position_embeddings=42, **SIZES)).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("start", ["scratch", "teacher"])
def test_rows_longer_than_it_reads_are_refused(folder: Path, team: Team, start: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", 0, team)
    settings = TeacherStartSettings("run", teacher=str(folder), length=41, start=start)
    text = Text(BertTokenizer.from_pretrained(folder), None, [], 0.0, team.device)
    with pytest.raises(TeacherError, match="takes 40 tokens, --length is 41: give less"):
        settings.open_teacher(text, run)
    settings.length = 40
    assert settings.open_teacher(text, run).config.model_type == "roberta"


NAMES = {0: "neg", 1: "neu", 2: "pos"}
HEADS = {
    "a classifier": (
        BertForSequenceClassification,
        {"id2label": NAMES},
        "ForSequenceClassification with 3 labels: neg, ne",
    ),
    "a tagger": (
        BertForTokenClassification,
        {"num_labels": 7},
        "ForTokenClassification with 7 labels: LABEL_0, .*LABEL_4, \\.\\.\\.",
    ),
    "a ranker": (
        BertForSequenceClassification,
        {"id2label": {0: "score"}},
        "ForSequenceClassification with 1 label: score",
    ),
    "answers": (BertForQuestionAnswering, {}, "BertForQuestionAnswering\\)"),
}


def opened(folder: Path, team: Team, model: PreTrainedModel) -> tuple[TeacherSettings, list[str], str]:
    """The settings, the warnings, and how the teacher is summarized."""
    model.save_pretrained(folder)
    settings = TeacherSettings("run", teacher=str(folder), length=16)
    text = Text(BertTokenizer.from_pretrained(folder), None, [], 0.0, team.device)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        teacher = settings.open_teacher(text, Run(folder / "run", 0, team))
    return settings, [str(one.message) for one in told if one.category is UserWarning], str(teacher)


@pytest.mark.parametrize(("kind", "labels", "head"), HEADS.values(), ids=HEADS)
def test_a_head_is_named_and_its_labels_go_no_further(
    folder: Path, team: Team, kind: type[PreTrainedModel], labels: dict, head: str
) -> None:
    config = BertConfig(vocab_size=6, **SIZES, **labels)
    config.problem_type = "regression" if config.num_labels == 1 else "single_label_classification"
    settings, told, summary = opened(folder, team, kind(config))
    (said,) = told
    assert re.search(rf"only the encoder is used, not its head \(.*{head}.*no head and no labels\. Fine-tune it", said)
    assert re.search(rf"^Teacher: the encoder of .*, without pooler and without its head \(.*{head}", summary)
    base, plain = settings.base_config(6, 0), AutoBertConfig()
    assert (base.id2label, base.label2id, base.num_labels) == (plain.id2label, plain.label2id, 2)
    assert base.problem_type is None


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM])
def test_a_teacher_of_language_needs_no_warning(folder: Path, team: Team, kind: type[PreTrainedModel]) -> None:
    _, told, summary = opened(folder, team, kind(BertConfig(vocab_size=6, **SIZES)))
    assert told == []
    rest = " and without its head (BertForMaskedLM)." if kind is BertForMaskedLM else "."
    assert summary == f"Teacher: the encoder of {folder}, without pooler{rest}"
