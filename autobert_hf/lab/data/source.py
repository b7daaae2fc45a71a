"""Where the text of a run comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autobert_hf.lab.data import builtin_text
from autobert_hf.lab.data.documents import TextError, compression, files_in, read_documents, stream_dataset
from autobert_hf.lab.data.text import sha256_of


BUILTIN_DOCUMENTS = 20_000


@dataclass(frozen=True)
class Source:
    """Where the text comes from: files and folders, a data set, or neither for the built-in text."""

    train_files: Sequence[str]
    validation_files: Sequence[str]
    dataset: str
    tokenizer: str
    vocab_size: int
    length: int
    seed: int
    rows: str = "packed"  # or "pairs" of sentences; or "texts": each row is one document
    column: str = "text"
    max_train_tokens: int | None = None
    cased: bool = False  # of a tokenizer that is trained
    trust_remote_code: bool = False  # of a tokenizer that is given

    def inputs(self) -> Mapping[str, str]:
        """Every input by name, files with their sha256: what a run records, free of this machine's paths."""
        if self.train_files and self.dataset:
            raise TextError("Both --train-file and --dataset were given: choose one.")
        inputs: dict[str, str] = {}
        for given in (*self.train_files, *self.validation_files):
            for file in files_in([given]):
                name = (
                    file.name if Path(given).is_file() else f"{Path(given).name}/{file.relative_to(given).as_posix()}"
                )
                digest = sha256_of(file)
                if inputs.setdefault(name, digest) != digest:
                    raise TextError(f"Two of the files are called {name}, as {file} is: rename one of them.")
        if self.dataset:
            inputs["dataset"] = self.dataset
        elif not self.train_files:
            inputs["built-in text"] = f"{BUILTIN_DOCUMENTS} documents"
        return inputs

    def documents(self) -> Iterator[str]:
        if self.train_files:
            return read_documents(self.train_files, self.column)
        if self.dataset:
            return stream_dataset(self.dataset, self.column)
        return iter(builtin_text.corpus(BUILTIN_DOCUMENTS, self.seed))

    @property
    def sides(self) -> dict[str, Iterator[str]]:
        """What is read, by the side of its rows; held-out documents are among the training ones unless given."""
        held_out = read_documents(self.validation_files, self.column) if self.validation_files else None
        return {"train": self.documents()} | ({"held_out": held_out} if held_out is not None else {})

    @property
    def size(self) -> int | None:
        """Bytes of the training files; unknown of compressed ones and of data sets."""
        files = files_in(self.train_files) if self.train_files else []
        known = files and not any(map(compression, files))
        return sum(file.stat().st_size for file in files) if known else None
