"""From what a user has (files, folders, a data set on the Hub) to documents, one after another: none is kept."""

import codecs
import gzip
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast


TABLES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
COMPRESSED = (".gz", ".zst")
BLOCK = 1 << 20  # bytes that are read of a plain text at a time
ROWS = 1000  # that are read of a table at a time
HALF = re.compile("[\ud800-\udfff]")  # of a character outside the first 65,536: JSON can hold one alone
SHOWN = 3  # files without text that are named


class TextError(ValueError):
    """The text that was given cannot be used; the message says which, why, and what to do."""


def files_in(paths: Sequence[str | Path]) -> list[Path]:
    """
    Every file, of a folder those in it and below it in the order of their names, but for hidden ones.

    Raises:
        TextError: for a path that is not there, and a folder without files.
    """
    if not paths:
        raise TextError("No text file was named: give at least one.")
    return [file for path in paths for file in _files(Path(path))]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise TextError(f"{path} does not exist: check the path.")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise TextError(f"{path} is neither a file nor a folder, and text is read more than once: write it to a file.")
    found = [file for file in sorted(path.rglob("*")) if file.is_file()]
    shown = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if not shown:
        raise TextError(f"{path} is a folder without files: give one with text in it.")
    return shown


def read_documents(files: Sequence[str | Path], column: str = "text") -> Iterator[str]:
    """
    The documents of all files, in order, with single spaces for whatever white space there was. Tables (parquet, csv,
    tsv, json, jsonl, ndjson) are read by `datasets`, one document a row of `column`; anything else is UTF-8 text, one
    paragraph (up to a blank line) a document, or one line where there are no blank lines. Both may be compressed (.gz,
    .zst). A file without text among others is left out, with a warning.

    Raises:
        TextError: for a file that cannot be read so, or where no file holds text.
    """
    paths = files_in(files)
    blank: list[Path] = []
    for path in paths:
        found = False
        for document in _words(_read_file(path, column)):
            found = True
            yield document
        if not found:
            blank.append(path)
    if len(blank) == len(paths):
        what = "holds nothing but white space" if paths[0].stat().st_size else "is empty"
        raise TextError(f"{paths[0]} {what}: give a file with text in it.")
    if blank:
        named = ", ".join(map(str, blank[:SHOWN])) + (", ..." if len(blank) > SHOWN else "")
        warnings.warn(f"{len(blank)} of {len(paths)} files without text left out: {named}.", stacklevel=2)


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """
    The rows of a table in which all these columns hold text, such as `sentence1` and `sentence2` of STS-B; of plain
    text, which has one column, its documents.

    Raises:
        TextError: for a file that cannot be read so.
    """
    for file in files_in([path]):
        inner = file.with_suffix("") if compression(file) else file
        if len(columns) > 1 and inner.suffix.lower() not in TABLES:
            raise TextError(f"{file} is no table, so it has no columns {', '.join(columns)}: leave --text-column out.")
        for row in zip(*(_read_file(file, column) for column in columns), strict=True):
            found = tuple(" ".join((text or "").split()) for text in row)
            if all(found):
                yield found


def _words(documents: Iterator[str | None]) -> Iterator[str]:
    return (words for document in documents if document and (words := " ".join(document.split())))


def _read_file(path: Path, column: str) -> Iterator[str | None]:
    if path.stat().st_size == 0:  # which `datasets` takes for a broken table
        return iter(())
    inner = path.with_suffix("") if compression(path) else path
    kind = TABLES.get(inner.suffix.lower())
    if compression(path) == ".zst" and find_spec("zstandard") is None:
        raise TextError(f"{path} is compressed with Zstandard: `pip install zstandard` reads it.")
    if kind is None:
        return _paragraphs(path)
    if kind == "json":
        first = next((line for line in _lines(path) if line.strip()), "")
        if not first or _is_object(first):
            return _json_lines(path, column)
    return _table_file(path, column, kind, inner.suffix.lower())


def _is_object(line: str) -> bool:
    """Whether a line is a whole JSON object, and not the beginning of an array or of one that takes several lines."""
    try:
        return isinstance(json.loads(line), dict)
    except (RecursionError, ValueError):
        return False


def _json_lines(path: Path, column: str) -> Iterator[str | None]:
    """
    An object a line, of which only `column` matters. `datasets` would give each column the type that it has in the
    first 10 MB, and stop at the first row where another column has another one.
    """
    columns: dict[str, None] = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            row = _object(line, f"Line {number} of {path}")
            columns |= dict.fromkeys(row)
            yield from _checked([row.get(column)], f"{path} (line {number})", column)
    if columns and column not in columns:
        raise _no_column(str(path), column, columns)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (RecursionError, ValueError) as error:
        raise TextError(f"{where} is no JSON ({error}): mend the line or remove it.") from error
    if not isinstance(row, dict):
        raise TextError(f"{where} is no JSON object with a column for the text: mend the line or remove it.")
    return row


def _table_file(path: Path, column: str, kind: str, ending: str) -> Iterator[str | None]:
    """By a plain name: `datasets` takes brackets for a pattern or an address, and knows endings in small letters."""
    # A text such as "NA" or "null" is a text; an empty one is left out later.
    options: dict[str, Any] = {"keep_default_na": False} if kind == "csv" else {}
    if ending == ".tsv":
        options["sep"] = "\t"
    with TemporaryDirectory() as folder:
        link = Path(folder, f"text{ending}{compression(path)}")
        link.symlink_to(path.resolve())
        yield from _table(str(path), column, kind, data_files=str(link), split="train", **options)


def compression(path: Path) -> str:
    """As its name ends: ".gz", ".zst", or nothing."""
    return path.suffix.lower() if path.suffix.lower() in COMPRESSED else ""


def stream_dataset(dataset: str, column: str = "text", split: str = "train") -> Iterator[str]:
    """
    The documents of a data set: the name of one on the Hub, with `:configuration` behind it where it has several
    ("Salesforce/wikitext:wikitext-2-raw-v1"), or a local folder. It is read as it is needed, never fetched as a whole.

    Raises:
        TextError: if it cannot be had, or breaks off.
    """
    name, _, configuration = (dataset, "", "") if Path(dataset).exists() else dataset.partition(":")
    found = False
    for document in _words(_table(dataset, column, name, name=configuration or None, split=split)):
        found = True
        yield document
    if not found:
        raise TextError(f"{dataset} holds nothing but white space: give one with text in it.")


def _table(source: str, column: str, path: str, **options: Any) -> Iterator[str | None]:  # noqa: ANN401 (of datasets)
    # Imported where it is used: it takes a second, and the built-in text and plain files do without.
    import datasets
    from pandas.errors import EmptyDataError

    try:
        table = datasets.load_dataset(path, streaming=True, **options)
        first: dict[str, Any] = next(iter(table), {})
        columns = list(first)
        if column in columns:
            _checked([first[column]], source, column)
            if path == "csv":  # in later rows numbers are texts too
                text = datasets.Features({column: datasets.Value("string")})
                table = datasets.load_dataset(path, streaming=True, features=text, **options)
            for batch in table.select_columns(column).iter(ROWS):
                yield from _checked(batch[column], source, column)
    except TextError:
        raise
    except EmptyDataError:  # nothing but blank lines
        return
    except Exception as error:  # a dozen kinds: network, unknown name, broken file, wrong split, no space on the disk
        reason = " ".join(str(error.__cause__ or error).split())
        raise TextError(
            f"{source} cannot be read with `datasets` ({type(error).__name__}: {reason}): check its name, that the "
            "file is whole, or the network; what was read so far is kept, and the same command goes on."
        ) from error
    if columns and column not in columns:
        raise _no_column(source, column, columns)


def _no_column(source: str, column: str, columns: Iterable[str]) -> TextError:
    return TextError(
        f"{source} has no column `{column}`, only {', '.join(columns)}: name the one with the text by --text-column."
    )


def _checked(values: list[Any], source: str, column: str) -> list[str | None]:
    for value in values:
        if value is not None and not isinstance(value, str):
            raise TextError(
                f"The column `{column}` of {source} holds {type(value).__name__}, not text: give one string a row."
            )
        if value and not value.isascii() and HALF.search(value):
            raise TextError(f"The column `{column}` of {source} holds half a surrogate pair: remove it.")
    return values


def _paragraphs(path: Path) -> Iterator[str]:
    """Paragraphs where there is a blank line between two lines, else lines."""
    if not _has_blank_lines(path):
        yield from _lines(path)
        return
    paragraph: list[str] = []
    for line in _lines(path):
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    yield "\n".join(paragraph)


def _has_blank_lines(path: Path) -> bool:
    seen_text = seen_blank = False
    for line in _lines(path):
        if line.strip():
            if seen_blank:
                return True
            seen_text = True
        elif seen_text:
            seen_blank = True
    return False


def _lines(path: Path) -> Iterator[str]:
    held: list[str] = []  # parts of a line that has not ended: a whole text may be one line
    for text in _decoded(path):
        before = held.pop() if held and held[-1].endswith("\r") else ""  # which may be the half of \r\n
        first, *others = re.split(r"\r\n|\n|\r(?!\Z)", before + text)
        held.append(first)
        if others:
            yield "".join(held)
            *lines, last = others
            yield from lines
            held = [last]
    yield from re.split(r"\r\n|\n|\r", "".join(held))


def _decoded(path: Path) -> Iterator[str]:
    """By blocks, without a byte order mark."""
    decoder, offset = codecs.getincrementaldecoder("utf-8-sig")(), 0
    with _opened(path) as file:
        while block := _read(file, path):
            if b"\0" in block:
                raise TextError(
                    f"{path} is binary: there is a null byte at offset {offset + block.index(0)}. Give UTF-8 text, "
                    f"{', '.join(TABLES)} (UTF-16 text: `iconv -f UTF-16 -t UTF-8 {path.name} > converted.txt`)."
                )
            yield _decode(decoder, block, path, offset)
            offset += len(block)
        yield _decode(decoder, b"", path, offset)


def _decode(decoder: codecs.IncrementalDecoder, block: bytes, path: Path, offset: int) -> str:
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        before = len(error.object) - len(block)  # bytes of the block before that it began with
        raise TextError(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {offset - before + error.start}. "
            f"If it is Latin-1, `iconv -f LATIN1 -t UTF-8 {path.name} > converted.txt` makes it so."
        ) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        if compression(path) == ".gz":
            return cast(IO[bytes], gzip.open(path))
        if compression(path) == ".zst":
            return import_module("zstandard").open(path, "rb")
        return path.open("rb")
    except OSError as error:
        raise TextError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


def _read(file: IO[bytes], path: Path) -> bytes:
    try:
        return file.read(BLOCK)
    except Exception as error:  # each compression has exceptions of its own for a damaged file
        raise TextError(f"{path} is damaged ({' '.join(str(error).split())}): fetch or copy it again.") from error
