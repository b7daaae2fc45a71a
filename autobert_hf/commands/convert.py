"""`autobert convert SRC DST`: a BERT encoder into AutoBert, or an AutoBert network into plain BERT."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

import autobert_hf
from autobert_hf.lab.distilling.sentence_files import add_sentence_files
from autobert_hf.lab.own_code import NOT_RUN, OwnCodeError, own_code_refused
from autobert_hf.modeling.convert import ConversionError, from_bert, from_bert_config, to_bert
from autobert_hf.records.model_folder import ModelFileError, loading, save_model


def convert_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert convert", description=__doc__)
    parser.add_argument("source", help="Hub id or folder, of a BERT encoder or an AutoBert model.")
    parser.add_argument("destination", type=Path, help="Folder to write; it must be new or empty.")
    given = parser.parse_args(arguments)
    if given.destination.exists() and any(given.destination.iterdir()):
        raise ConversionError(f"{given.destination} is not empty: choose another folder.")
    converted = convert(given.source)
    has_modules = False

    def add(folder: Path) -> None:
        nonlocal has_modules
        has_modules = add_sentence_files(given.source, folder, is_converted=True)

    save_model(converted, load_tokenizer(given.source), given.destination, add)
    also = ", with its sentence-transformers modules" if has_modules else ""
    print(f"{type(converted).__name__} with the same outputs is in {given.destination}{also}.")
    return 0


def convert(source: str) -> PreTrainedModel:
    """
    The model of a Hub id or folder, converted to the other form, with its head.

    Raises:
        ConversionError: if it cannot be, or weights are missing.
    """
    with own_code_refused(source, NOT_RUN), loading(source):
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        # In the precision of the file. transformers' annotation knows of no loading info.
        loaded: Any = head_class(config).from_pretrained(source, dtype="auto", output_loading_info=True)
        model, info = loaded
        drop_random_weights(model, source, info["missing_keys"])
        return to_bert(model) if config.model_type == "autobert" else from_bert(model)


def drop_random_weights(model: Any, source: str, missing: Iterable[str]) -> None:  # noqa: ANN401
    """
    Takes the pooler away that was drawn because the file holds none.

    Raises:
        ConversionError: if other weights are missing from the file.
    """
    pooler = {name for name in missing if name.startswith("pooler.")}
    if lost := sorted(set(missing) - pooler):
        raise ConversionError(
            f"{source} holds no {lost[0]}, which {type(model).__name__} needs ({len(lost)} weights are missing): "
            "under `architectures` in its config.json, name the class that it was saved from."
        )
    if pooler:
        model.pooler = None


def head_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class that the checkpoint was saved from; the bare model if the configuration names none."""
    is_ours = config.model_type == "autobert"
    if not is_ours:
        from_bert_config(config)  # raises for other models before weights are read
    name = (config.architectures or ["AutoBertModel" if is_ours else "BertModel"])[0]
    found = getattr(autobert_hf if is_ours else transformers, name, None)
    if found is None:
        raise ConversionError(f"The checkpoint was saved from {name}, which this version does not know.")
    return found


def load_tokenizer(source: str) -> transformers.PreTrainedTokenizerBase | None:
    """None if there is none."""
    try:
        with own_code_refused(source, NOT_RUN), loading(source):
            return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OwnCodeError, ModelFileError):  # there is one, but not to be run, or damaged
        raise
    except (OSError, ValueError):
        return None
