"""Whole texts in batches: every row once an epoch, trimmed to the longest, alike in length."""

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.data.row_files import RowFiles, table_of
from autobert_hf.lab.data.single_texts import TextBatches, text_rows


TEXTS = [" ".join(f"w{(start + word) % 55}" for word in range(1 + start % 9)) for start in range(45)]


@pytest.fixture
def batches(tokenizer: BertTokenizer) -> TextBatches:
    rows = RowFiles([table_of(text_rows(TEXTS, tokenizer, 8))], tokenizer.pad_token_id)
    return TextBatches(rows, tokenizer, batch_size=4, seed=0)


def test_rows_are_texts_cut_and_a_batch_of_them_is_padded(tokenizer: BertTokenizer) -> None:
    rows = text_rows(["w1 w2", "w0 w1 w2 w3 w4 w5 w6", "[MASK]"], tokenizer, 6)
    cls, sep, pad = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id
    assert rows[0] == [cls, *tokenizer.convert_tokens_to_ids(["w1", "w2"]), sep]
    assert rows[1] == [cls, *tokenizer.convert_tokens_to_ids(["w0", "w1", "w2", "w3"]), sep]
    assert tokenizer.mask_token_id not in rows[2]
    (batch,) = TextBatches(RowFiles([table_of(rows[:2])], pad), tokenizer, 2, seed=0).held_out(2)
    assert batch["input_ids"].tolist() == [rows[0] + [pad, pad], rows[1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]


def test_an_epoch_shows_each_row_once_but_for_the_rest(batches: TextBatches) -> None:
    shown = [tuple(row[row != 0].tolist()) for step in range(11) for row in batches.batch("a", step=step)["input_ids"]]
    assert len(shown) == 44
    wanted = {tuple(batches.rows.row(index).tolist()) for index in range(45)}
    assert len(set(shown)) >= 44 - (45 - len(wanted))
    assert set(shown) <= wanted


def test_a_batch_is_as_long_as_its_longest_row_and_lengths_are_alike(batches: TextBatches) -> None:
    spread = []
    for step in range(11):
        batch = batches.batch("a", step=step)
        lengths = batch["attention_mask"].sum(1)
        assert batch["input_ids"].shape[1] == lengths.max()
        assert torch.equal(batch["input_ids"] != 0, batch["attention_mask"].bool())
        spread.append(int(lengths.max() - lengths.min()))
    assert sum(spread) / len(spread) < 2


def test_the_same_purpose_and_step_is_the_same_batch(batches: TextBatches) -> None:
    first = batches.batch("a", step=3)["input_ids"]
    other = batches.batch("b", step=3)["input_ids"]
    later = batches.batch("a", step=14)["input_ids"]
    again = batches.batch("a", step=3)["input_ids"]
    assert torch.equal(first, again)
    assert not any(one.shape == first.shape and torch.equal(one, first) for one in (other, later))


def test_held_out_rows_are_the_first_ones(batches: TextBatches) -> None:
    rows = [tuple(row[row != 0].tolist()) for batch in batches.held_out(10) for row in batch["input_ids"]]
    assert sorted(rows) == sorted(tuple(batches.rows.row(index).tolist()) for index in range(10))


def test_tokens_are_counted_without_padding(batches: TextBatches) -> None:
    shown = sum(int(batches.batch("a", step=step)["attention_mask"].sum()) for step in range(11))
    assert abs(shown / 11 - batches.tokens_per_batch) < 2
