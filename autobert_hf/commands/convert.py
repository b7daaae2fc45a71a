"""`autobert convert SRC DST`: a BERT encoder into AutoBert, or an AutoBert network into plain BERT."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

import autobert_hf
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
    save_model(converted, load_tokenizer(given.source), given.destination)
    print(f"{type(converted).__name__} with the same outputs is in {given.destination}.")
    return 0


def convert(source: str) -> PreTrainedModel:
    """The model of a Hub id or folder, converted to the other form, with its head."""
    with loading(source):
        config = AutoConfig.from_pretrained(source)
        model = head_class(config).from_pretrained(source)
        return to_bert(model) if config.model_type == "autobert" else from_bert(model)


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
        with loading(source):
            return AutoTokenizer.from_pretrained(source)
    except ModelFileError:  # there is one, but damaged
        raise
    except (OSError, ValueError):
        return None
