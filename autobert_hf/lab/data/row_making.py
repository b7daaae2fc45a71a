"""Documents into rows of tokens, chunk by chunk and by several processes: the same rows for any number of them."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread

import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.row_files import table_of
from autobert_hf.lab.data.sentence_pairs import pair_rows
from autobert_hf.lab.data.single_texts import text_rows
from autobert_hf.lab.data.text import pack, split_documents
from autobert_hf.records.seeds import derive


CHUNK = 8_000_000  # characters
# Documents of a chunk: 5 % are held out, and pairs need two of those.
FEWEST = {"packed": 2, "unmasked": 2, "texts": 2, "pairs": 40}

Rows = Future[dict[str, pa.Table]]


@dataclass(frozen=True)
class Chunk:
    """Documents that follow one another; `start` of them stand before."""

    number: int
    start: int
    documents: list[str]

    @property
    def end(self) -> int:
        return self.start + len(self.documents)


def chunks(documents: Iterator[str], kind: str, number: int = 0, start: int = 0) -> Iterator[Chunk]:
    """All documents but the first `start`, in chunks of at least `CHUNK` characters, numbered from `number`."""
    held: list[str] = []
    size = 0
    for index, document in enumerate(documents):
        if index < start:
            continue
        held.append(document)
        size += len(document)
        if size >= CHUNK and len(held) >= FEWEST[kind]:
            yield Chunk(number, start, held)
            number, start, held, size = number + 1, start + len(held), [], 0
    if held:
        yield Chunk(number, start, held)


@dataclass(frozen=True)
class RowMaker:
    """`kind` packed, unmasked (the same rows), pairs or texts; with `splits` some documents are held out."""

    tokenizer: PreTrainedTokenizerBase
    kind: str
    length: int
    seed: int
    splits: bool

    def __call__(self, chunk: Chunk) -> dict[str, pa.Table]:
        train, held_out = split(chunk, self.seed) if self.splits else (chunk.documents, [])
        made = {"train": self.rows(train, "train", chunk)}
        return made | ({"held_out": self.rows(held_out, "held_out", chunk)} if self.splits else {})

    def rows(self, documents: list[str], side: str, chunk: Chunk) -> pa.Table:
        """Token ids, and of pairs whether the second text is random."""
        if self.kind in ("packed", "unmasked"):
            return table_of([*pack(documents, self.tokenizer, self.length).numpy()])
        if self.kind == "texts":
            return table_of(text_rows(documents, self.tokenizer, self.length))
        seed = derive(purpose(self.seed, chunk), side)
        try:
            rows, is_random = pair_rows(documents, self.tokenizer, self.length, seed)
        except TextError:
            if not chunk.number:
                raise
            return table_of([], [])  # what is left at the end of a long text may be too little
        return table_of([*rows.numpy()], is_random.tolist())


def split(chunk: Chunk, seed: int) -> tuple[list[str], list[str]]:
    """
    Training and held-out documents; a single one at the end of a long text is trained on.

    Raises:
        TextError: if the whole text is a single document, so that none can be held out.
    """
    if chunk.number and len(chunk.documents) < 2:
        return chunk.documents, []
    return split_documents(chunk.documents, seed=purpose(seed, chunk))


def purpose(seed: int, chunk: Chunk) -> int:
    """Every chunk has draws of its own."""
    return derive(seed, "chunk", chunk.number) if chunk.number else seed


def in_order(make: RowMaker, given: Iterator[Chunk], processes: int) -> Iterator[tuple[Chunk, dict[str, pa.Table]]]:
    """
    The rows of every chunk. Only where there are several chunks, further processes are started.

    Raises:
        TextError: if the text breaks off, after the rows of all whole chunks before; or if a process was killed.
    """
    first = next(given, None)
    if first is None:
        return
    yield first, make(first)
    if processes == 1:
        yield from ((chunk, make(chunk)) for chunk in given)
        return
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (make,)) as pool:
        try:
            yield from ((chunk, rows.result()) for chunk, rows in _some_ahead(pool, given, processes))
        except BrokenProcessPool as error:
            raise TextError(
                "A process that made rows of text was killed, perhaps because memory ran out: free some, then run the "
                "same command to go on."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _some_ahead(pool: ProcessPoolExecutor, given: Iterator[Chunk], number: int) -> Iterator[tuple[Chunk, Rows]]:
    """Every chunk, while the rows of `number` chunks behind it are being made."""
    waiting: deque[tuple[Chunk, Rows]] = deque()
    broken_off: TextError | None = None
    try:
        for chunk in given:
            waiting.append((chunk, pool.submit(_make, chunk)))
            if len(waiting) > number:
                yield waiting.popleft()
    except TextError as error:
        broken_off = error
    yield from waiting
    if broken_off is not None:
        raise broken_off


_maker: RowMaker | None = None


def _begin(make: RowMaker) -> None:
    global _maker
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process has a core to itself
    Thread(target=_end_with_parent, daemon=True).start()
    _maker = make


def _end_with_parent() -> None:
    """Of a parent that was killed, the executor's processes would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(chunk: Chunk) -> dict[str, pa.Table]:
    assert _maker is not None
    return _maker(chunk)
