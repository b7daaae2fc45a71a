"""What is checked of a teacher before anything is trained."""

from pathlib import Path

import pytest
from transformers import BertTokenizer, RobertaConfig, RobertaModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.teacher import TeacherError
from autobert_hf.lab.training.team import Team
from autobert_hf.searchers.settings import TeacherSettings


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
    BertTokenizer(vocab=words).save_pretrained(tmp_path)
    RobertaModel(RobertaConfig(vocab_size=6, max_position_embeddings=42, **SIZES)).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("start", ["scratch", "teacher"])
def test_rows_longer_than_it_reads_are_refused(folder: Path, team: Team, start: str) -> None:
    settings = TeacherSettings("run", teacher=str(folder), length=41, start=start)
    text = Text(BertTokenizer.from_pretrained(folder), None, [], 0.0, team.device)
    with pytest.raises(TeacherError, match="takes 40 tokens, --length is 41: give less"):
        settings.open_teacher(text, team)
    settings.length = 40
    assert settings.open_teacher(text, team).config.model_type == "roberta"
