"""Text of every format and compression becomes the same documents; what is wrong with it is one sentence."""

import gzip
import json
import os
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf.lab.data import documents as module
from autobert_hf.lab.data.documents import TextError, read_documents, stream_dataset
from autobert_hf.lab.data.text import sha256_of


SHARED = Path(__file__).parents[3] / "shared/data"
needs_zstandard = pytest.mark.skipif(find_spec("zstandard") is None, reason="reading .zst needs zstandard")

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(*files: str | Path, column: str = "text") -> list[str]:
    return [*read_documents(files, column)]


def zst(data: bytes) -> bytes:
    import zstandard

    return zstandard.compress(data)


COMPRESSIONS = [
    pytest.param("", bytes, id="plain"),
    pytest.param(".gz", gzip.compress, id="gz"),
    pytest.param(".zst", zst, id="zst", marks=needs_zstandard),
]
LINES = '{"text": "one, two"}\n{"text": null}\n{"text": "three\\nfour"}\n'
FORMATS = {
    "a.txt": "one, two\n\nthree\nfour\n",
    "b.csv": 'label,text\n1,"one, two"\n2,\n3," three\nfour"\n',
    "c.tsv": 'label\ttext\n1\tone, two\n2\t\n3\t" three\nfour"\n',
    "d[1].jsonl": LINES,
    "e.ndjson": LINES,
    "f.json": '[{"text": "one, two"}, {"text": null}, {"text": "three\\nfour"}]',
    "g": "one, two\n\nthree\nfour\n",
}


def test_texts_that_look_like_missing_values_are_texts(tmp_path: Path) -> None:
    words = ["NA", "null", "None", "nan", "N/A"]
    for name, separator in (("a.csv", ","), ("b.tsv", "\t")):
        lines = [separator.join(("text", "n")), *(word + separator for word in words), separator + "1"]
        (tmp_path / name).write_text("\n".join(lines))
        assert list(read_documents([tmp_path / name])) == words


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ("one\nline\n\ntwo  \t words\n \n\nthree\n", ["one line", "two words", "three"]),
        ("\n\none\ntwo\n\n", ["one", "two"]),
        ("one", ["one"]),
        (b"\xef\xbb\xbfcaf\xc3\xa9\r\nline\r\n\r\ntwo\r\n", ["café line", "two"]),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 1 << 20])
def test_paragraphs_or_lines_are_documents(
    file: Write, content: str | bytes, documents: list[str], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    assert read(file("any.name", content)) == documents


PIECES = ["a", "b c", "\n", "\r\n", "\r", " ", "\n\n", "\r\n\r\n", "é", "漢", "🙂", "\x0c", "\x85", "\u2028", "\ufeff"]


@given(text=st.lists(st.sampled_from(PIECES), min_size=1).map("".join), block=st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_where_a_block_ends_makes_no_difference(
    text: str, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Between the bytes of a character, the halves of a line break or the lines of a paragraph, and after a mark."""
    whole = re.sub(r"\r\n?", "\n", text.removeprefix("\ufeff")).strip()
    parts = re.split(r"\n\s*\n", whole)
    documents = [
        words for part in (parts if len(parts) > 1 else whole.split("\n")) if (words := " ".join(part.split()))
    ]
    path = tmp_path_factory.getbasetemp() / "blocks.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        if documents:
            assert read(path) == documents
        else:
            with pytest.raises(TextError, match="nothing but white space"):
                read(path)


@pytest.mark.parametrize(("ending", "compress"), COMPRESSIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_and_compression_holds_the_same_documents(
    file: Write, name: str, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    path = file(name + ending, compress(FORMATS[name].encode()))
    assert read(path) == ["one, two", "three four"]
    assert read(path.rename(path.with_name(path.name.upper()))) == ["one, two", "three four"]


@pytest.mark.parametrize("compression", ["snappy", "gzip"])
def test_parquet_is_read(tmp_path: Path, compression: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = ["one, two", None, "three\nfour"]
    pq.write_table(pa.table({"n": [1, 2, 3], "text": texts}), tmp_path / "a.parquet", compression=compression)
    assert read(tmp_path / "a.parquet") == ["one, two", "three four"]


def test_the_shared_parquet_is_read() -> None:
    path = SHARED / "corpus_prose/validation.parquet"
    if not path.exists():
        pytest.skip("needs the shared corpus")
    assert len(read(path)) == 3075
    assert sha256_of(path).startswith("8f715f3fab4a")


def test_files_of_all_kinds_follow_one_another(file: Write) -> None:
    assert read(*(file(name, content) for name, content in FORMATS.items())) == ["one, two", "three four"] * len(
        FORMATS
    )


def test_a_table_longer_than_what_is_read_at_a_time(file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 7)
    path = file("long.jsonl", "".join(json.dumps({"text": f"document {n}"}) + "\n" for n in range(50)))
    assert read(path) == [f"document {n}" for n in range(50)]


def test_a_folder_is_all_its_files_in_order_but_for_hidden_ones(file: Write, tmp_path: Path) -> None:
    file("in/b.txt", "second")
    file("in/a/z.csv", "text\nfirst\n")
    file("in/c.txt.gz", gzip.compress(b"third", mtime=0))
    file("in/.hidden.txt", "hidden")
    file("in/.git/config", b"\0")
    assert read(tmp_path / "in") == ["first", "second", "third"]
    assert read(file("before.txt", "before"), tmp_path / "in") == ["before", "first", "second", "third"]
    (tmp_path / "bare").mkdir()
    file("bare/.hidden", "hidden")
    with pytest.raises(TextError, match="bare is a folder without files"):
        read(tmp_path / "bare")


def test_a_folder_that_is_hidden_itself_is_read(file: Write, tmp_path: Path) -> None:
    file(".in/a.txt", "asked for")
    assert read(tmp_path / ".in") == ["asked for"]


def test_the_column_with_the_text_has_any_name(file: Write) -> None:
    path = file("a.csv", "text,body\nshort,long\n")
    assert read(path, column="body") == ["long"]
    assert read(path, file("plain.txt", "a text file has no columns"), column="body")[1].startswith("a text")


def test_of_mixed_columns_the_file_without_the_right_one_is_named(file: Write) -> None:
    good, other = file("good.csv", "text\none\n"), file("other.tsv", "title\tbody\n1\t2\n")
    with pytest.raises(TextError, match=r"other\.tsv has no column `text`, only title, body.*--text-column"):
        read(good, other)


@pytest.mark.parametrize("content", ["", " \n\n\t"], ids=["empty", "blank"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.parquet"])
def test_a_file_without_text_among_others_is_left_out_with_a_warning(file: Write, name: str, content: str) -> None:
    if name == "a.parquet" and content:
        pytest.skip("a parquet file of blanks is damaged")
    good, bare = file("good.txt", "good"), file(name, content)
    with pytest.warns(UserWarning, match=rf"1 of 3 files without text left out: {re.escape(str(bare))}\."):
        assert read(good, bare, good) == ["good", "good"]


@pytest.mark.parametrize(
    ("first", "other"), [({"a": None}, {"a": "word"}), ({"a": {"b": 1}}, {"a": {"c": "d"}}), ({}, {"new": 1})]
)
def test_other_columns_of_json_lines_hold_anything(file: Write, first: dict, other: dict) -> None:
    """`datasets` gives each column the type of its first 10 MB, which is one row here, and stops at another."""
    rows = [{"text": "x" * (11 << 20)} | first, {"text": "two"} | other, {"id": 1}, {"text": "2020-01-01"}]
    path = file("a.json", "\n".join(map(json.dumps, rows)))
    assert read(path)[1:] == ["two", "2020-01-01"]


def test_numbers_among_the_texts_of_a_csv_are_texts(file: Write) -> None:
    """`datasets` reads 10,000 rows at a time and gives each lot a type of its own."""
    rows = ["word"] * 10_000 + ["007"] * 10_000
    assert read(file("a.csv", "\n".join(["text", *rows]))) == rows


def test_a_long_text_in_one_line_is_read_once(file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text8 has it. Splitting again all that was read with every block would take hours for a GB."""
    monkeypatch.setattr(module, "BLOCK", 10)
    split: list[int] = []
    real = re.split
    monkeypatch.setattr(module.re, "split", lambda by, text: split.append(len(text)) or real(by, text))
    path = file("a.txt", "one line " * 1000)
    assert read(path) == [("one line " * 1000).strip()]
    assert sum(split) <= 4 * path.stat().st_size


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TextError, match="pipe is neither a file nor a folder, .*: write it to a file"):
        read(tmp_path / "pipe")


def test_many_files_without_text_are_counted(file: Write) -> None:
    with pytest.warns(
        UserWarning, match=r"5 of 6 files without text left out: .*0\.txt, .*1\.txt, .*2\.txt, \.\.\.\.$"
    ):
        assert read(*(file(f"{n}.txt", "") for n in range(5)), file("good.txt", "good")) == ["good"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", "", r"empty\.txt is empty"),
        ("empty.csv", "", r"empty\.csv is empty"),
        ("empty.gz", gzip.compress(b"", mtime=0), r"empty\.gz holds nothing but white space"),
        ("blank.txt", " \n\n\t", r"blank\.txt holds nothing but white space"),
        ("blank.csv", 'text\n" "\n" "\n', r"blank\.csv holds nothing but white space"),
        ("header.csv", "text\n", r"header\.csv holds nothing but white space"),
        ("binary.txt", b"abc\x00d", r"binary\.txt is binary: there is a null byte at offset 3"),
        ("latin.txt", "caf\u00e9".encode("latin1"), r"byte 0xe9 at offset 3.*iconv -f LATIN1 -t UTF-8 latin\.txt"),
        ("cut.txt", "caf\u00e9".encode()[:-1], r"byte 0xc3 at offset 3"),
        ("marked.txt", b"\xef\xbb\xbfab\xff", r"byte 0xff at offset 5"),
        ("other.csv", "a,b\n1,2\n", r"other\.csv has no column `text`, only a, b: name the one .* by --text-column"),
        ("number.csv", "text\n1\n", r"`text` of .*number\.csv holds int, not text"),
        ("nested.jsonl", '{"text": ["a"]}\n', r"`text` of .*nested\.jsonl \(line 1\) holds list, not text"),
        ("half.jsonl", '{"text": "a"}\n{"text": "\\ud83d"}', r"half\.jsonl \(line 2\) holds half a surrogate pair"),
        ("cut.jsonl", '{"text": "a"}\n\n{"text": "b', r"Line 3 of .*cut\.jsonl is no JSON \(Unterminated"),
        ("list.jsonl", '{"text": "a"}\n["b"]', r"Line 2 of .*list\.jsonl is no JSON object"),
        ("deep.jsonl", '{"text": "a"}\n' + "[" * 100_000, r"Line 2 of .*deep\.jsonl is no JSON"),
        ("other.jsonl", '{"a": "b"}\n{"c": "d"}', r"other\.jsonl has no column `text`, only a, c: name the one"),
        ("empty.jsonl.gz", gzip.compress(b"", mtime=0), r"empty\.jsonl\.gz holds nothing but white space"),
        ("broken.json", "{garbage", r"broken\.json cannot be read with `datasets` \(.*JSON parse error"),
        ("broken.parquet", "garbage, not parquet", r"broken\.parquet cannot be read with `datasets` \(.*parquet"),
        ("broken.csv.gz", "garbage, not gzip", r"broken\.csv\.gz cannot be read with `datasets` \("),
        ("broken.gz", "garbage, not gzip", r"broken\.gz is damaged \(.*\): fetch or copy it again"),
        ("short.gz", gzip.compress(b"a text that ends too early", mtime=0)[:-12], r"short\.gz is damaged"),
        pytest.param("broken.zst", "garbage", r"broken\.zst is damaged", marks=needs_zstandard),
    ],
)
@pytest.mark.parametrize("block", [1, 4, 1 << 20])
def test_a_bad_file_is_one_clear_sentence(
    file: Write, name: str, content: str | bytes, message: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets are those of the file, however it is read."""
    monkeypatch.setattr(module, "BLOCK", block)
    with pytest.raises(TextError, match=message) as caught:
        read(file(name, content))
    assert "\n" not in str(caught.value)


def test_offsets_beyond_the_first_block(file: Write) -> None:
    """Of real blocks, with a character across their border."""
    size = module.BLOCK
    head = b"a" * (size - 1) + "é".encode()
    with pytest.raises(TextError, match=f"null byte at offset {size + 11}"):
        read(file("binary.txt", head + b"b" * 10 + b"\0"))
    with pytest.raises(TextError, match=f"byte 0xe9 at offset {size + 11}"):
        read(file("latin.txt", head + b"b" * 10 + "été".encode("latin1")))
    with pytest.raises(TextError, match=f"byte 0xc3 at offset {size - 1}"):
        read(file("border.txt", head[:-1] + b"b"))


def test_without_zstandard_the_way_out_is_named(file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for name in ("a.txt.zst", "a.jsonl.zst"):
        with pytest.raises(TextError, match="`pip install zstandard` reads it"):
            read(file(name, b"compressed"))


def test_a_path_that_is_no_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="nowhere.txt does not exist"):
        read(tmp_path / "nowhere.txt")
    with pytest.raises(TextError, match="No text file"):
        read()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_one_clear_sentence(file: Write) -> None:
    path = file("locked.txt", "text")
    path.chmod(0)
    with pytest.raises(TextError, match="cannot be read .*permissions"):
        read(path)


def test_documents_are_read_as_they_are_asked_for(file: Write) -> None:
    """The next file is not even opened."""
    documents = read_documents([file("a.txt", "one\n\ntwo"), file("b.txt", b"\0")])
    assert [next(documents), next(documents)] == ["one", "two"]
    with pytest.raises(TextError, match=r"b\.txt is binary"):
        next(documents)


def test_a_folder_is_a_data_set(tmp_path: Path, file: Write) -> None:
    file("train.csv", "text,n\nhello,1\n")
    file("test.csv", "text,n\nbye,1\n")
    assert [*stream_dataset(str(tmp_path))] == ["hello"]
    assert [*stream_dataset(str(tmp_path), split="test")] == ["bye"]
    assert [*stream_dataset(str(tmp_path), column="text")] == ["hello"]
    with pytest.raises(TextError, match="has no column `body`, only text, n"):
        [*stream_dataset(str(tmp_path), column="body")]
    with pytest.raises(TextError, match="(?i)bad split: dev"):
        [*stream_dataset(str(tmp_path), split="dev")]
    with pytest.raises(TextError, match="missing cannot be read"):
        [*stream_dataset(str(tmp_path / "missing"))]


def test_a_data_set_of_blanks_is_refused(tmp_path: Path, file: Write) -> None:
    file("train.csv", 'text,n\n" ",1\n')
    with pytest.raises(TextError, match="holds nothing but white space"):
        [*stream_dataset(str(tmp_path))]


def test_a_configuration_stands_behind_a_colon_and_nothing_is_fetched_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import datasets

    asked = []

    def load_dataset(path: str, **options: object) -> datasets.IterableDataset:
        asked.append((path, options))
        return datasets.Dataset.from_dict({"text": ["one"]}).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert [*stream_dataset("owner/name:part-1")] == [*stream_dataset("owner/name")] == ["one"]
    assert asked == [
        ("owner/name", {"streaming": True, "split": "train", "name": "part-1"}),
        ("owner/name", {"streaming": True, "split": "train", "name": None}),
    ]
