"""A teacher of the toy language, and a student narrower than it."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.row_files import RowFiles, table_of
from autobert_hf.lab.data.single_texts import TextBatches, text_rows
from autobert_hf.lab.distilling.teacher import Teacher

from .teaching import NO_DROPOUT, SIZES, enlarged


@pytest.fixture(scope="session")
def teacher_folder(tokenizer: BertTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        enlarged(BertModel(BertConfig(**SIZES), add_pooling_layer=False)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def teacher(teacher_folder: Path, tokenizer: BertTokenizer) -> Teacher:
    return Teacher(str(teacher_folder), tokenizer, torch.device("cpu"))


@pytest.fixture
def student() -> AutoBertModel:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        sizes = SIZES | NO_DROPOUT | {"hidden_size": 16, "head_dim": 5}
        return enlarged(AutoBertModel(AutoBertConfig(**sizes), add_pooling_layer=False))


@pytest.fixture
def texts(tokenizer: BertTokenizer) -> Text:
    """What a student of a teacher is shown: texts of one to nine words."""
    written = [" ".join(f"w{(start + word) % 55}" for word in range(1 + start % 9)) for start in range(60)]
    rows = text_rows(written, tokenizer, 12)
    train, held_out = (RowFiles([table_of(part)], tokenizer.pad_token_id) for part in (rows[:48], rows[48:]))
    train, held_out = TextBatches(train, tokenizer, 8, seed=0), TextBatches(held_out, tokenizer, 5, seed=0)
    return Text(tokenizer, train, held_out.held_out(12), floor=3.0, device=torch.device("cpu"))
