"""Makes an encoder's folder loadable by sentence-transformers, with files taken from its teacher."""

import json
from pathlib import Path
from typing import Any

from transformers.utils import cached_file

from autobert_hf.records.json_files import write_json


# Modules without weights, which fit an encoder of any width.
WEIGHTLESS = ("Transformer", "Pooling", "Normalize")


def write_sentence_files(teacher: str, folder: Path, width: int) -> bool:
    """
    Adds modules.json and the files it names to `folder`, for an encoder of width `width`. Returns False and writes
    nothing if the teacher is not a sentence-transformers model or has further modules with weights.
    """
    modules: Any = _read(teacher, "modules.json")
    if modules is None or any(module["type"].rpartition(".")[2] not in WEIGHTLESS for module in modules):
        return False
    for module in modules:
        config = _read(teacher, f"{module['path']}/config.json") if module["path"] else None
        if config is not None:
            wide = {"word_embedding_dimension": width} if "word_embedding_dimension" in config else {}
            write_json(folder / module["path"] / "config.json", config | wide)
        elif module["path"]:
            (folder / module["path"]).mkdir(exist_ok=True)
    limits = _read(teacher, "sentence_bert_config.json")
    if limits is not None:
        write_json(folder / "sentence_bert_config.json", limits)
    write_json(folder / "modules.json", modules)
    return True


def _read(teacher: str, name: str) -> Any:  # noqa: ANN401 (JSON)
    path = cached_file(
        teacher, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None
