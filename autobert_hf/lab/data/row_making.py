"""Documents into rows of tokens, chunk by chunk and by several processes: the same rows for any number of them."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.row_files import table_of
from autobert_hf.lab.data.sentence_pairs import pair_rows
from autobert_hf.lab.data.single_texts import text_rows
from autobert_hf.lab.data.text import pack, split_documents
from autobert_hf.records.seeds import derive


CHUNK = 8_000_000  # characters


@dataclass(frozen=True)
class Chunk:
    """Documents that follow one another; `start` of them stand before."""

    number: int
    start: int
    documents: list[str]

    @property
    def end(self) -> int:
        return self.start + len(self.documents)


def chunks(documents: Iterator[str], number: int = 0, start: int = 0) -> Iterator[Chunk]:
    """All documents but the first `start`, in chunks of at least `CHUNK` characters, numbered from `number`."""
    held: list[str] = []
    size = 0
    for index, document in enumerate(documents):
        if index < start:
            continue
        held.append(document)
        size += len(document)
        if size >= CHUNK:
            yield Chunk(number, start, held)
            number, start, held, size = number + 1, start + len(held), [], 0
    if held:
        yield Chunk(number, start, held)


@dataclass(frozen=True)
class RowMaker:
    """`kind` packed, pairs or texts; with `splits` some documents of each chunk are held out."""

    tokenizer: PreTrainedTokenizerBase
    kind: str
    length: int
    seed: int
    splits: bool

    def __call__(self, chunk: Chunk) -> dict[str, pa.Table]:
        train, held_out = self.split(chunk)
        made = {"train": self.rows(train, "train", chunk)}
        return made | ({"held_out": self.rows(held_out, "held_out", chunk)} if self.splits else {})

    def split(self, chunk: Chunk) -> tuple[list[str], list[str]]:
        """
        Training and held-out documents.

        Raises:
            TextError: if the text is a single document, so that none can be held out.
        """
        return split(chunk, self.seed) if self.splits else (chunk.documents, [])

    def rows(self, documents: list[str], side: str, chunk: Chunk) -> pa.Table:
        """Token ids, and of pairs whether the second text is random."""
        if self.kind == "packed":
            return table_of([*pack(documents, self.tokenizer, self.length).numpy()])
        if self.kind == "texts":
            return table_of(text_rows(documents, self.tokenizer, self.length))
        if len(documents) < 2 and chunk.number:
            return table_of([], [])
        rows, is_random = pair_rows(documents, self.tokenizer, self.length, derive(purpose(self.seed, chunk), side))
        return table_of([*rows.numpy()], is_random.tolist())


def split(chunk: Chunk, seed: int) -> tuple[list[str], list[str]]:
    """Of the last chunk a single document is trained on."""
    if chunk.number and len(chunk.documents) < 2:
        return chunk.documents, []
    return split_documents(chunk.documents, seed=purpose(seed, chunk))


def purpose(seed: int, chunk: Chunk) -> int:
    """Every chunk has draws of its own."""
    return derive(seed, "chunk", chunk.number) if chunk.number else seed


def in_order(make: RowMaker, given: Iterator[Chunk], processes: int) -> Iterator[tuple[Chunk, dict[str, pa.Table]]]:
    """The rows of every chunk. Only where there are several chunks, further processes are started."""
    first = next(given, None)
    if first is None:
        return
    yield first, make(first)
    if processes == 1:
        yield from ((chunk, make(chunk)) for chunk in given)
        return
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (make,)) as pool:
        waiting: deque[tuple[Chunk, Future[dict[str, pa.Table]]]] = deque()
        try:
            for chunk in given:
                waiting.append((chunk, pool.submit(_make, chunk)))
                if len(waiting) > processes:
                    done, rows = waiting.popleft()
                    yield done, rows.result()
            yield from ((chunk, rows.result()) for chunk, rows in waiting)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_maker: RowMaker | None = None


def _begin(make: RowMaker) -> None:
    global _maker
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process has a core to itself
    _maker = make


def _make(chunk: Chunk) -> dict[str, pa.Table]:
    assert _maker is not None
    return _maker(chunk)
