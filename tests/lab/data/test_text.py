import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer

from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.text import (
    SPECIAL_TOKENS,
    pack,
    split_documents,
    token_stream,
    train_tokenizer,
    unigram_floor,
)


LETTERS = BertTokenizer(vocab={word: i for i, word in enumerate([*SPECIAL_TOKENS, *"abcdefgh"])})


def counts(rows: torch.Tensor, vocab_size: int) -> np.ndarray:
    return np.bincount(rows.flatten(), minlength=vocab_size)


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return train_tokenizer(corpus(200, seed=0), vocab_size=600, model_max_length=64)


@given(
    number=st.integers(2, 60),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_documents_are_split_in_two_and_none_is_lost(number: int, fraction: float, seed: int) -> None:
    documents = [f"document {i:02}" for i in range(number)]
    train, validation = split_documents(documents, fraction, seed)
    assert sorted(train + validation) == documents
    assert train == sorted(train)
    assert validation == sorted(validation)
    assert train
    assert validation
    assert abs(len(validation) - fraction * number) <= 1
    assert (train, validation) == split_documents(documents, fraction, seed)


def test_a_split_depends_on_its_seed_and_needs_two_documents() -> None:
    documents = [str(i) for i in range(100)]
    assert split_documents(documents, seed=1) != split_documents(documents, seed=2)
    with pytest.raises(TextError, match="only one document"):
        split_documents(["alone"])
    with pytest.raises(ValueError, match="validation fraction is 1.0"):
        split_documents(documents, fraction=1.0)


def test_a_tokenizer_is_berts_own(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    assert len(tokenizer) == 600
    assert tokenizer.convert_tokens_to_ids(SPECIAL_TOKENS) == [0, 1, 2, 3, 4]
    text = corpus(1, seed=9)[0]
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer(text.upper())["input_ids"] == ids
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is BertTokenizer
    assert again(text)["input_ids"] == ids
    assert again.model_max_length == 64
    assert again.all_special_tokens == tokenizer.all_special_tokens
    pair = again("one", "two")
    assert (pair["input_ids"][0], pair["input_ids"][-1], pair["token_type_ids"][-1]) == (2, 3, 1)


def test_a_tokenizer_is_the_same_each_time_and_loads_without_us(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    again = train_tokenizer(corpus(200, seed=0), vocab_size=600)
    assert again.get_vocab() == tokenizer.get_vocab()
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "autobert"}')  # as in the folder of a model of ours
    program = (
        "import sys, json; from transformers import AutoTokenizer; t = AutoTokenizer.from_pretrained(sys.argv[1]);"
        "assert 'autobert_hf' not in sys.modules; print(t.get_vocab() == json.loads(sys.stdin.read()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        input=json.dumps(tokenizer.get_vocab()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == "True", ran.stderr


def test_a_vocabulary_is_smaller_or_larger_where_the_text_demands_it() -> None:
    assert len(train_tokenizer(["a b a b"], vocab_size=4000)) == 5 + 2
    assert len(train_tokenizer(["abcdefgh hgfedcba"], vocab_size=8)) == 5 + 8 + 8  # at the start and inside words


@given(texts=st.lists(st.text("abcdefgh ", max_size=20), min_size=1, max_size=40), length=st.integers(3, 9))
@settings(max_examples=60, deadline=None)
def test_rows_hold_the_text_in_order(texts: list[str], length: int) -> None:
    spaced = [" ".join(text) for text in texts]
    ids = [LETTERS.convert_tokens_to_ids(letter) for text in spaced for letter in text.split()]
    assert token_stream(spaced, LETTERS, chunk=7).tolist() == ids
    rows = pack(spaced, LETTERS, length)
    assert rows.dtype == torch.int64
    assert rows.shape == (len(ids) // (length - 2), length)
    assert set(rows[:, 0].tolist()) <= {2}
    assert set(rows[:, -1].tolist()) <= {3}
    body = rows[:, 1:-1].flatten().tolist()
    assert body == ids[: len(body)]


def test_special_tokens_in_a_text_are_text() -> None:
    assert not set(token_stream(["a [MASK] b [SEP]"], LETTERS).tolist()) & {0, 2, 3, 4}
    with pytest.raises(ValueError, match="row length is 2"):
        pack(["a b c"], LETTERS, length=2)


def test_the_unigram_floor_is_the_loss_of_a_network_that_knows_frequencies() -> None:
    train, validation = pack(["a a a b"], LETTERS, 6), pack(["a b c h"], LETTERS, 6)
    # Eight words, each seen once more than it was: a 4/12, b 2/12, c and h 1/12.
    expected = -(math.log(4 / 12) + math.log(2 / 12) + 2 * math.log(1 / 12)) / 4
    assert unigram_floor(*(counts(rows, len(LETTERS)) for rows in (train, validation))) == pytest.approx(expected)
    # The same with the special tokens elsewhere in a larger vocabulary.
    shifted = [101, 102, 0, 100, 103]
    moved = dict(zip(range(5), shifted, strict=True))
    rows = [rows.clone().apply_(lambda i: moved.get(i, i)) for rows in (train, validation)]
    wide = unigram_floor(*(counts(one, 110) for one in rows), special_ids=shifted)
    words = 105
    expected = -(math.log(4 / (4 + words)) + math.log(2 / (4 + words)) + 2 * math.log(1 / (4 + words))) / 4
    assert wide == pytest.approx(expected, rel=1e-6)


def test_more_training_text_lowers_the_floor(tokenizer: BertTokenizer) -> None:
    validation = counts(pack(corpus(50, seed=1), tokenizer), 600)
    floors = [unigram_floor(counts(pack(corpus(n, seed=0), tokenizer), 600), validation) for n in (3, 30, 300)]
    assert floors[0] > floors[1] > floors[2]
    assert floors[2] < math.log(595)
