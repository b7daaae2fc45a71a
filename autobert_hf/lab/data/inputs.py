"""The inputs of a run by role, name and digest: what identifies them on every machine, without their paths."""

from collections.abc import Iterator
from pathlib import Path

from autobert_hf.lab.data.text import sha256_of
from autobert_hf.lab.distilling.sentence_files import modules_of


# By role (`train`, `teacher`, ...) and name. What has no files here, such as an id on the Hub, has an empty digest.
Inputs = dict[str, dict[str, str]]

# Of the first kind that there is, as transformers chooses.
WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin")
# What else decides what a model computes.
SETTINGS = (
    "config.json",
    "adapter_config.json",
    "*.py",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)


def public_name(source: str | Path) -> str:
    """The last part of a path on this machine, whose other parts identify the machine; an id of the Hub as it is."""
    return Path(source).resolve().name if source and Path(source).exists() else str(source)


def model_inputs(source: str) -> dict[str, str]:
    """
    The files of a model or tokenizer, with those of its sentence-transformers modules, by `FOLDER/NAME` with their
    sha256. For an id of the Hub: the id, without digest.
    """
    folder = Path(source)
    if not folder.is_dir():
        return {public_name(source): sha256_of(folder) if folder.is_file() else ""}
    name = public_name(folder)
    files = [file for place in (folder, *_modules(folder)) for file in _files(place)]
    return {f"{name}/{file.relative_to(folder).as_posix()}": sha256_of(file) for file in files} or {name: ""}


def folder_inputs(folder: Path) -> dict[str, str]:
    """All files of a folder, in its subfolders too, by `FOLDER/NAME` with their sha256; hidden ones are left out."""
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    seen = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    return {f"{public_name(folder)}/{file.as_posix()}": sha256_of(folder / file) for file in seen}


def _files(place: Path) -> Iterator[Path]:
    yield from sorted({file for pattern in SETTINGS for file in place.glob(pattern) if file.is_file()})
    yield from next((found for pattern in WEIGHTS if (found := sorted(place.glob(pattern)))), [])


def _modules(folder: Path) -> list[Path]:
    """The folders of sentence-transformers' modules; the encoder's is the folder itself."""
    places = [folder / Path(module["path"]).name for module in modules_of(str(folder)) if module["path"]]
    return [place for place in places if place.is_dir()]
