"""Where the text of a run comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autobert_hf.lab.data import builtin_text
from autobert_hf.lab.data.documents import TextError, compression, files_in, read_documents, stream_dataset
from autobert_hf.lab.data.inputs import Inputs, folder_inputs, model_inputs, public_name
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
    rows: str = "packed"  # or "unmasked"; or "pairs" of sentences; or "texts": each row is one document
    column: str = "text"
    max_train_tokens: int | None = None
    cased: bool = False  # of a tokenizer that is trained
    trust_remote_code: bool = False  # of a tokenizer that is given

    def inputs(self) -> Inputs:
        """
        What a run records of its text and tokenizer, without paths of this machine.

        Raises:
            TextError: if two training files, or two held-out ones, have the same name.
        """
        if self.train_files and self.dataset:
            raise TextError("Both --train-file and --dataset were given: choose one.")
        inputs = {"train": _files(self.train_files), "validation": _files(self.validation_files)}
        if self.dataset:
            is_here = Path(self.dataset).is_dir()
            inputs["dataset"] = folder_inputs(Path(self.dataset)) if is_here else {self.dataset: ""}
        elif not self.train_files:
            inputs["built-in text"] = {f"{BUILTIN_DOCUMENTS} documents": ""}
        if self.tokenizer:
            inputs["tokenizer"] = model_inputs(self.tokenizer)
        return {role: named for role, named in inputs.items() if named}

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


def _files(given: Sequence[str]) -> dict[str, str]:
    """Files and those of folders by name, with their sha256."""
    found: dict[str, str] = {}
    for place in given:
        for file in files_in([place]):
            is_file = Path(place).is_file()
            name = file.name if is_file else f"{public_name(place)}/{file.relative_to(place).as_posix()}"
            digest = sha256_of(file)
            if found.setdefault(name, digest) != digest:
                raise TextError(f"Two of the files are called {name}, as {file} is: rename one of them.")
    return found
