import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizer

from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.text import (
    SPECIAL_TOKENS,
    TextError,
    load_documents,
    pack,
    read_documents,
    sha256_of,
    split_documents,
    token_stream,
    train_tokenizer,
    unigram_floor,
)


SHARED = Path(__file__).parents[3] / "shared/data"
LETTERS = BertTokenizer(vocab={word: i for i, word in enumerate([*SPECIAL_TOKENS, *"abcdefgh"])})


Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return train_tokenizer(corpus(200, seed=0), vocab_size=600, model_max_length=64)


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ("one\nline\n\ntwo  \t words\n \n\nthree\n", ["one line", "two words", "three"]),
        ("\n\none\ntwo\n\n", ["one", "two"]),
        ("one", ["one"]),
        (b"\xef\xbb\xbfcaf\xc3\xa9\r\nline\r\n\r\ntwo\r\n", ["café line", "two"]),
    ],
)
def test_paragraphs_or_lines_are_documents(file: Write, content: str | bytes, documents: list[str]) -> None:
    assert read_documents([file("any.name", content)]) == documents


def test_tables_need_only_a_text_column(file: Write) -> None:
    comma = file("a.csv", 'label,text\n1,"one, two"\n2,\n3," three\nfour"\n')
    lines = file("b[1].jsonl", '{"text": "five"}\n{"text": null}\n{"text": "six"}\n')
    plain = file("c.txt", "seven")
    assert read_documents([comma, str(lines), plain]) == ["one, two", "three four", "five", "six", "seven"]


def test_parquet_is_read() -> None:
    path = SHARED / "corpus_prose/validation.parquet"
    if not path.exists():
        pytest.skip("needs the shared corpus")
    documents = read_documents([path])
    assert len(documents) == 3075
    assert sha256_of(path).startswith("8f715f3fab4a")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", "", r"empty\.txt is empty"),
        ("blank.txt", " \n\n\t", r"blank\.txt holds nothing but white space"),
        ("blank.csv", 'text\n" "\n" "\n', r"blank\.csv holds nothing but white space"),
        ("binary.txt", b"abc\x00d", r"binary\.txt is binary: there is a null byte at offset 3"),
        ("latin.txt", "caf\u00e9".encode("latin1"), r"byte 0xe9 at offset 3.*iconv -f LATIN1 -t UTF-8 latin\.txt"),
        ("other.csv", "a,b\n1,2\n", r"other\.csv has no column `text`, only a, b"),
        ("number.csv", "text\n1\n", r"`text` of .*number\.csv holds int64, not text"),
        ("nested.jsonl", '{"text": ["a"]}\n', r"`text` of .*nested\.jsonl holds nested values, not text"),
        ("broken.json", "{garbage", r"broken\.json cannot be loaded with `datasets` \(.*JSON parse error"),
        (
            "broken.parquet",
            "garbage, not parquet",
            r"broken\.parquet cannot be loaded with `datasets` \(.*not a parquet file",
        ),
    ],
)
def test_a_bad_file_is_one_clear_sentence(file: Write, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(TextError, match=message) as caught:
        read_documents([file("good.txt", "good"), file(name, content)])
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="nowhere.txt does not exist"):
        read_documents([tmp_path / "nowhere.txt"])
    with pytest.raises(TextError, match="is a folder: name the files"):
        read_documents([tmp_path])
    with pytest.raises(TextError, match="No text file"):
        read_documents([])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_one_clear_sentence(file: Write) -> None:
    path = file("locked.txt", "text")
    path.chmod(0)
    with pytest.raises(TextError, match="cannot be read .*permissions"):
        read_documents([path])


def test_a_folder_is_a_data_set(tmp_path: Path, file: Write) -> None:
    file("train.csv", "text,n\nhello,1\n")
    file("test.csv", "text,n\nbye,1\n")
    assert load_documents(str(tmp_path)) == ["hello"]
    assert load_documents(str(tmp_path), split="test") == ["bye"]
    with pytest.raises(TextError, match='Unknown split "dev"'):
        load_documents(str(tmp_path), split="dev")
    with pytest.raises(TextError, match="missing cannot be loaded"):
        load_documents(str(tmp_path / "missing"))


def test_a_configuration_stands_behind_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = []

    def load_dataset(path: str, **options: object) -> datasets.Dataset:
        asked.append((path, options))
        return datasets.Dataset.from_dict({"text": ["one"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_documents("owner/name:part-1") == load_documents("owner/name") == ["one"]
    assert asked == [
        ("owner/name", {"split": "train", "name": "part-1"}),
        ("owner/name", {"split": "train", "name": None}),
    ]


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
    if len(ids) < length - 2:
        with pytest.raises(
            TextError, match=f"has {len(ids)} tokens, but a row of {length} needs at least {length - 2}"
        ):
            pack(spaced, LETTERS, length)
        return
    rows = pack(spaced, LETTERS, length)
    assert rows.dtype == torch.int64
    assert rows.shape == (len(ids) // (length - 2), length)
    assert set(rows[:, 0].tolist()) == {2}
    assert set(rows[:, -1].tolist()) == {3}
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
    assert unigram_floor(train, validation, len(LETTERS)) == pytest.approx(expected, rel=1e-6)
    # The same with the special tokens elsewhere in a larger vocabulary.
    shifted = [101, 102, 0, 100, 103]
    moved = dict(zip(range(5), shifted, strict=True))
    rows = [rows.clone().apply_(lambda i: moved.get(i, i)) for rows in (train, validation)]
    wide = unigram_floor(*rows, vocab_size=110, special_ids=shifted)
    words = 105
    expected = -(math.log(4 / (4 + words)) + math.log(2 / (4 + words)) + 2 * math.log(1 / (4 + words))) / 4
    assert wide == pytest.approx(expected, rel=1e-6)


def test_more_training_text_lowers_the_floor(tokenizer: BertTokenizer) -> None:
    validation = pack(corpus(50, seed=1), tokenizer)
    floors = [unigram_floor(pack(corpus(n, seed=0), tokenizer), validation, 600) for n in (3, 30, 300)]
    assert floors[0] > floors[1] > floors[2]
    assert floors[2] < math.log(595)
