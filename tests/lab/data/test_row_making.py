"""Rows are the same for any number of processes, wherever a preparation was killed, and wherever a text broke off."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import datasets
import psutil
import pytest
from transformers import AutoTokenizer, BertTokenizer

from autobert_hf.lab.data import documents as reading
from autobert_hf.lab.data import row_files, row_making
from autobert_hf.lab.data import tokenizers as training
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.corpus import prepare, row_tables
from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.data.row_making import chunks
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.records.files import StorageError


DOCUMENTS = corpus(300, seed=0)
KINDS = ["packed", "pairs", "texts"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of about 25 documents; pairs wait for 40."""
    monkeypatch.setattr(row_making, "CHUNK", 10_000)


@pytest.fixture
def source(tmp_path: Path, tokenizer_folder: Path) -> Source:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(DOCUMENTS))
    return Source([str(path)], (), "", str(tokenizer_folder), vocab_size=200, length=32, seed=0)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(DOCUMENTS, 300).save_pretrained(folder)
    return folder


def made(source: Source, folder: Path, processes: int = 1) -> dict[str, bytes]:
    prepare(source, folder, processes)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_four_processes_make_the_rows_of_one(source: Source, tmp_path: Path, kind: str) -> None:
    asked = replace(source, rows=kind)
    one, four = made(asked, tmp_path / "one", 1), made(asked, tmp_path / "four", 4)
    assert one == four
    assert sum(name.startswith("rows/train") for name in one) > 5
    assert sum(name.startswith("rows/held_out") for name in one) > 5


def test_tokenizing_after_the_first_chunk_is_done_elsewhere(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, here = row_making.pack, []
    monkeypatch.setattr(row_making, "pack", lambda *given: here.append(os.getpid()) or pack(*given))
    prepare(source, tmp_path / "two", 2)
    assert here == [os.getpid()] * 2, "the training and the held-out side of the first chunk"


@pytest.mark.parametrize("kind", KINDS)
def test_every_document_is_on_one_side(source: Source, tmp_path: Path, kind: str) -> None:
    """Of texts, whose rows are documents, this can be read off: none is lost, and each chunk gives its share."""
    asked = replace(source, rows=kind, length=200 if kind == "texts" else 32)
    prepare(asked, tmp_path / "text", 1)
    rows = {side: RowFiles(row_tables(tmp_path / "text", side), 0) for side in ("train", "held_out")}
    if kind == "texts":
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "text/tokenizer")
        expected = [tuple(tokenizer(document)["input_ids"]) for document in DOCUMENTS]
        train, held_out = ([tuple(one.row(at).tolist()) for at in range(len(one))] for one in rows.values())
        assert sorted(train + held_out) == sorted(expected)
        assert train == [row for row in expected if row in set(train)], "in their old order"
    parts = {side: [len(table) for table in row_tables(tmp_path / "text", side)] for side in rows}
    assert all(parts["held_out"][:-1])
    assert len(parts["held_out"]) == len(parts["train"])


def test_another_seed_holds_out_others(source: Source, tmp_path: Path) -> None:
    one = made(source, tmp_path / "one")
    other = made(replace(source, seed=1), tmp_path / "other")
    names = [name for name in one if name.startswith("rows/held_out")]
    assert sum(one[name] != other[name] for name in names) > len(names) / 2, "by chance a few are the same"


def test_each_chunk_holds_out_by_draws_of_its_own() -> None:
    """Of as many documents each; not always those at the same places."""
    parts = [row_making.Chunk(number, 0, DOCUMENTS[:40]) for number in range(8)]
    places = {tuple(DOCUMENTS.index(one) for one in row_making.split(part, 0)[1]) for part in parts}
    assert len(places) > 5


def test_chunks_have_enough_documents_for_both_sides(source: Source, tmp_path: Path) -> None:
    """However long each one is: books, say."""
    books = [" ".join(corpus(40, seed)) for seed in range(100)]
    assert min(map(len, books)) > row_making.CHUNK
    assert [len(chunk.documents) for chunk in chunks(iter(books), "packed")] == [2] * 50
    assert [len(chunk.documents) for chunk in chunks(iter(books), "pairs")] == [40, 40, 20]
    Path(source.train_files[0]).write_text("\n\n".join(books[:50]))
    for kind in KINDS:
        prepare(replace(source, rows=kind), tmp_path / kind, 2)
        assert len(RowFiles(row_tables(tmp_path / kind, "held_out"), 0)) > 0


@pytest.mark.parametrize("last", ["alone", "alone\n\nbeside", "a\n\n" * 30])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_at_the_end_may_be_next_to_nothing(source: Source, tmp_path: Path, kind: str, last: str) -> None:
    number = next(n for n in range(40, 300) if len([*chunks(iter(DOCUMENTS[:n]), kind)]) == 2) - 1
    Path(source.train_files[0]).write_text("\n\n".join([*DOCUMENTS[:number], last]))
    for processes in (1, 2):
        prepare(replace(source, rows=kind), tmp_path / f"{processes}", processes)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(row_tables(tmp_path / "1", "train")) == 2


def test_chunks_continue_where_they_were_left() -> None:
    every = [*chunks(iter(DOCUMENTS), "packed")]
    assert [document for chunk in every for document in chunk.documents] == DOCUMENTS
    for chunk in every:
        assert [*chunks(iter(DOCUMENTS), "packed", chunk.number, chunk.start)] == every[chunk.number :]


@pytest.mark.parametrize("kind", KINDS)
def test_any_beginning_of_the_files_is_continued(source: Source, tmp_path: Path, kind: str) -> None:
    """Every prefix, in the order in which they are written; the last one has everything but the facts."""
    asked = replace(source, rows=kind)
    whole = made(asked, tmp_path / "whole")
    names = sorted((name for name in whole if name.startswith("rows/")), key=lambda name: (name[-11:], name))
    assert [name[5:-12] for name in names[:4]] == ["held_out", "train"] * 2
    for number in range(0, len(names) + 1, 1 if kind == "packed" else 3):
        folder = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "whole", folder)
        for name in ["text.json", *names[number:]]:
            (folder / name).unlink()
        assert made(asked, folder, 1 + number % 2) == whole, number


@pytest.mark.parametrize("number", [0, 1, 6])
def test_a_preparation_that_is_killed_goes_on_and_leaves_no_process(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """With kill -9, at the file of that number, half of which is there."""
    whole = made(source, tmp_path / "whole")
    write, count = row_files.write_whole, iter(range(99))

    def killed(path: Path, content: Callable[[Path], None]) -> None:
        if next(count) == number:
            temporary = path.with_name(f".{path.name}.tmp") / path.name
            temporary.parent.mkdir(parents=True)
            temporary.write_bytes(b"half")
            children = psutil.Process().children()
            (tmp_path / "children").write_text(" ".join(str(child.pid) for child in children))
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)

    monkeypatch.setattr(row_files, "write_whole", killed)
    process = get_context("fork").Process(target=prepare, args=(source, tmp_path / "killed", 3))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    monkeypatch.undo()
    monkeypatch.setattr(row_making, "CHUNK", 10_000)
    left = [*map(int, (tmp_path / "children").read_text().split())]
    assert len(left) == (3 if number > 1 else 0)
    assert ended(left)
    assert len(list((tmp_path / "killed" / "rows").glob("*.arrow"))) == number
    assert made(source, tmp_path / "killed", 2) == whole


def ended(processes: list[int]) -> bool:
    """Within ten seconds. A process that nobody asks for its result is a zombie, which does nothing any more."""
    for _ in range(100):
        alive = [number for number in processes if psutil.pid_exists(number)]
        if all(psutil.Process(number).status() == psutil.STATUS_ZOMBIE for number in alive):
            return True
        time.sleep(0.1)
    return False


def test_a_process_that_is_killed_is_one_sentence(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does when memory runs out."""
    here, pack = os.getpid(), row_making.pack

    def killed(*given: object) -> object:
        return pack(*given) if os.getpid() == here else os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(row_making, "pack", killed)
        with pytest.raises(
            TextError, match="A process that made rows of text was killed, perhaps because memory ran out"
        ):
            prepare(source, tmp_path / "killed", 2)
    assert made(source, tmp_path / "killed", 2) == made(source, tmp_path / "whole")


@pytest.mark.parametrize("number", [0, 3])
def test_a_full_disk_while_rows_are_made(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """From the file of that number on; said by the system to pyarrow itself."""
    real, count = row_files.pa.OSFile, iter(range(99))
    with monkeypatch.context() as patch:
        patch.setattr(
            row_files.pa, "OSFile", lambda name, mode: real("/dev/full" if next(count) >= number else name, mode)
        )
        with pytest.raises(StorageError, match=r"Cannot write .*\.arrow: the disk is full: free some space, then run"):
            prepare(source, tmp_path / "full", 2)
    assert sum(name.endswith(".arrow") for name in contents(tmp_path / "full")) == number
    assert made(source, tmp_path / "full", 2) == made(source, tmp_path / "whole")


class Stream:
    """The documents as a data set that is read as it is needed; `asked` of them were read so far."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.asked, self.breaks_at = 0, breaks_at

    def __call__(self, path: str, **options: object) -> datasets.IterableDataset:
        assert options["streaming"] is True
        return datasets.IterableDataset.from_generator(self.rows)

    def rows(self) -> Iterator[dict[str, str]]:
        self.asked = 0
        for number, document in enumerate(DOCUMENTS):
            if number == self.breaks_at:
                raise ConnectionError("the peer has gone")
            self.asked += 1
            yield {"text": document}


@pytest.fixture
def streamed(source: Source, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(reading, "ROWS", 1)
    return replace(source, train_files=(), dataset="owner/name")


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("breaks_at", [10, 140, 299])
def test_a_stream_that_breaks_off_goes_on_at_the_same_document(
    source: Source, streamed: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks_at: int, processes: int
) -> None:
    """The chunks before are made all the same, also those that further processes were still at."""
    monkeypatch.setattr(datasets, "load_dataset", Stream(breaks_at))
    with pytest.raises(TextError, match="owner/name cannot be read .*the peer has gone.*the same command goes on"):
        prepare(streamed, tmp_path / "broken", processes)
    before = [*chunks(iter(DOCUMENTS[:breaks_at]), "packed")][:-1]
    found = row_tables(tmp_path / "broken", "train")
    assert len(found) == len(before)
    monkeypatch.setattr(datasets, "load_dataset", Stream())
    again: list[int] = []
    split = row_making.split
    monkeypatch.setattr(row_making, "split", lambda chunk, seed: again.append(chunk.start) or split(chunk, seed))
    assert made(streamed, tmp_path / "broken") == made(source, tmp_path / "file")
    assert again[0] == (before[-1].end if before else 0)


@pytest.mark.parametrize("processes", [1, 4])
def test_a_data_set_is_read_as_far_as_it_is_needed(
    source: Source, streamed: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    stream = Stream()
    monkeypatch.setattr(datasets, "load_dataset", stream)
    prepare(replace(streamed, max_train_tokens=4000), tmp_path / "some", processes)
    rows = RowFiles(row_tables(tmp_path / "some", "train"), 0, 4000)
    assert rows.lengths.sum() == 4000 // 32 * 32
    assert len(RowFiles(row_tables(tmp_path / "some", "train"), 0)) >= len(rows)
    assert stream.asked < 300
    whole = made(source, tmp_path / "whole")
    some = {name: content for name, content in contents(tmp_path / "some").items() if name.startswith("rows/")}
    assert some == {name: whole[name] for name in some}, "a beginning of all rows"
    needed = len([name for name in some if name.startswith("rows/train")])
    assert len(RowFiles(row_tables(tmp_path / "some", "train")[: needed - 1], 0)) * 32 < 4000, "no file more"
    assert stream.asked <= chunk_ends()[min(needed + processes, len(chunk_ends()) - 1)] + 1


def chunk_ends() -> list[int]:
    return [chunk.end for chunk in chunks(iter(DOCUMENTS), "packed")]


def test_a_tokenizer_reads_no_more_than_is_trained_on(
    streamed: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    monkeypatch.setattr(datasets, "load_dataset", stream)
    training.tokenizer_of(replace(streamed, tokenizer="", max_train_tokens=4000), tmp_path)
    assert stream.asked <= chunk_ends()[1] + 1, "20,000 characters"


def test_a_tokenizer_is_trained_on_an_even_part_of_large_text(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never on held-out documents."""
    seen: list[str] = []

    def train(documents: list[str], *sizes: int) -> BertTokenizer:
        seen.extend(documents)
        return train_tokenizer(documents, *sizes)

    monkeypatch.setattr(training, "train_tokenizer", train)
    monkeypatch.setattr(training, "CHARACTERS", sum(map(len, DOCUMENTS)) // 4)
    training.tokenizer_of(replace(source, tokenizer=""), tmp_path)
    places = [DOCUMENTS.index(document) for document in seen]
    assert 50 < len(places) < 90
    assert places == sorted(places)
    assert max(places) > 280
    training_ones = {
        document for chunk in chunks(iter(DOCUMENTS), "packed") for document in row_making.split(chunk, source.seed)[0]
    }
    assert set(seen) <= training_ones


def test_no_library_complains_about_processes(
    source: Source, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare(source, tmp_path / "text", 3)
    assert not re.search("fork|parallelism", capfd.readouterr().err)
