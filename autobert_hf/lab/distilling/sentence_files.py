"""Makes an encoder's folder loadable by sentence-transformers, with the files of the model that it comes from."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.utils import cached_file

from autobert_hf.records.json_files import write_json
from autobert_hf.records.model_folder import ModelFileError, read_file_of_a_model


# Modules without weights of their own, which fit an encoder of any width.
WEIGHTLESS = ("Transformer", "Pooling", "Normalize")
WIDTHS = ("word_embedding_dimension", "embedding_dimension")  # in older and in newer configurations
ABOUT = ("config_sentence_transformers.json", "sentence_bert_config.json")
FILES = ("config.json", "model.safetensors")


def add_sentence_files(source: str, folder: Path, is_converted: bool = False) -> bool:
    """
    Adds to `folder`, which holds an encoder and its tokenizer, what sentence-transformers has in `source`: pooling,
    normalization, prompts, longest text. Modules with weights fit only the same encoder (`is_converted`). What is left
    out is said in a warning. Returns whether files were added.
    """
    modules = modules_of(source)
    if not modules:
        return False
    kinds = [kind_of(module) for module in modules]
    if lost := [kind for kind in kinds if kind not in WEIGHTLESS and not is_converted]:
        _warn(folder, source, ", ".join(lost), "whose weights fit the teacher's hidden states only")
    try:
        if find_spec("sentence_transformers") is None:
            _copy_files(source, folder, [module for module in modules if kind_of(module) not in lost])
        else:
            _write_files(source, folder, lost)
    except Exception as error:  # of any type; a run must not end by it after its last training
        _warn(folder, source, "the modules", " ".join(str(error).split()))
        return False
    return True


def _warn(folder: Path, source: str, what: str, reason: str) -> None:
    name = folder.name.removeprefix(".").removesuffix(".tmp")
    warnings.warn(f"For sentence-transformers, {name} is written without {what} of {source}: {reason}.", stacklevel=3)


def kind_of(module: Mapping[str, str]) -> str:
    """The class of a row of modules.json, e.g. `Pooling`."""
    return module["type"].rpartition(".")[2]


def modules_of(source: str) -> list[dict[str, str]]:
    """
    The rows of modules.json of a folder or id, each with `type` and `path`; none without that file.

    Raises:
        ModelFileError: if it is damaged.
    """
    path = _file(source, "modules.json")
    modules: list[Any] = read_file_of_a_model(path, list) if path else []
    for module in modules:
        if not isinstance(module, dict) or not all(isinstance(module.get(key), str) for key in ("type", "path")):
            raise ModelFileError(f"{path} has a module without type or path: {module}. Save or download it again.")
    return modules


def settings_of(source: str, name: str) -> dict[str, Any]:
    """
    A JSON file of a folder or id; nothing if it has no such file.

    Raises:
        ModelFileError: if it is damaged.
    """
    path = _file(source, name)
    return read_file_of_a_model(path, dict) if path else {}


def _write_files(source: str, folder: Path, lost: list[str]) -> None:
    """By sentence-transformers itself: all that it saves but the encoder, which is there."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    theirs = SentenceTransformer(source, device="cpu")
    first, *rest = theirs.children()
    ours = Transformer(str(folder))
    ours.processor = first.processor
    longest = AutoConfig.from_pretrained(folder).max_position_embeddings
    ours.max_seq_length = min(first.max_seq_length or longest, longest)
    width = ours.get_embedding_dimension()
    kept: list[Any] = [
        Pooling(width, module.pooling_mode, module.include_prompt) if isinstance(module, Pooling) else module
        for module in rest
        if type(module).__name__ not in lost
    ]
    prompts: Any = theirs.prompts  # of which some are None, which the annotation does not say
    whole = SentenceTransformer(
        modules=[ours, *kept],
        device="cpu",
        prompts=prompts,
        default_prompt_name=theirs.default_prompt_name,
        similarity_fn_name=theirs.similarity_fn_name,
        truncate_dim=theirs.truncate_dim,
    )
    with tempfile.TemporaryDirectory() as place:
        whole.save(place, create_model_card=False)
        for path in Path(place).iterdir():
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            elif path.suffix not in (".safetensors", ".py") and path.name != "config.json":
                shutil.copy(path, folder)


def _copy_files(source: str, folder: Path, modules: list[dict[str, str]]) -> None:
    """Without sentence-transformers: file by file, with the encoder's width. Pickled weights are not copied."""
    width = AutoConfig.from_pretrained(folder).hidden_size
    weighty = [module for module in modules if kind_of(module) not in WEIGHTLESS]
    if pickled := [one for one in weighty if not _file(source, f"{one['path']}/model.safetensors")]:
        reason = "it has no safetensors; `pip install sentence-transformers` can convert it"
        _warn(folder, source, ", ".join(map(kind_of, pickled)), reason)
        modules = [module for module in modules if module not in pickled]
    for place in filter(None, (module["path"] for module in modules)):
        (folder / Path(place).name).mkdir()
        for path in filter(None, (_file(source, f"{place}/{name}") for name in FILES)):
            shutil.copy(path, folder / Path(place).name)
        config = settings_of(source, f"{place}/config.json")
        if wide := {name: width for name in WIDTHS if name in config}:
            write_json(folder / Path(place).name / "config.json", config | wide)
    for name in ABOUT:
        if data := settings_of(source, name):
            write_json(folder / name, data)
    rows = [module | {"idx": index, "name": str(index)} for index, module in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")


def _file(source: str, name: str) -> Path | None:
    path = cached_file(
        source, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return Path(path) if path else None
