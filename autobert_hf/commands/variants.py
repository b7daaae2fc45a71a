"""`autobert ablate` and `autobert scale`: configurations derived from a found network."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.variants import ablations, deeper, resized
from autobert_hf.modeling.zoo import ZOO
from autobert_hf.records.model_folder import loading


def ablate_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert ablate", description="Write the paper's ablations of a network.")
    _source_and_destination(parser)
    parser.add_argument("--seed", type=int, default=0, help="Seed of the shuffled kernels.")
    given = parser.parse_args(arguments)
    variants = ablations(load_config(given.source), given.seed)
    if not variants:
        raise ValueError(f"{given.source} has neither two kinds of layers nor two kernel sizes: nothing to ablate.")
    for name, config in variants.items():
        _save(config, given.destination / name)
    return 0


def scale_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert scale", description="Write a larger or smaller network.")
    _source_and_destination(parser)
    parser.add_argument("--deeper", action="store_true", help="Twice the layers: a copy after each pair.")
    for name in ("hidden-size", "num-attention-heads", "intermediate-size"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args(arguments)
    sizes = {name: getattr(given, name) for name in ("hidden_size", "num_attention_heads", "intermediate_size")}
    chosen = {name: value for name, value in sizes.items() if value is not None}
    if not chosen and not given.deeper:
        raise ValueError("Nothing to scale: give --deeper or one of the three sizes (see --help).")
    _save((deeper if given.deeper else resized)(load_config(given.source), **chosen), given.destination)
    return 0


def load_config(source: str) -> AutoBertConfig:
    """The configuration of a name of the zoo, a folder or a Hub id."""
    if source in ZOO:
        return AutoBertConfig.from_zoo(source)
    with loading(source):
        return AutoBertConfig.from_pretrained(source)


def _source_and_destination(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="Name from the zoo, Hub id or folder.")
    parser.add_argument("destination", type=Path, help="Folder for the configuration(s).")


def _save(config: AutoBertConfig, folder: Path) -> None:
    config.save_pretrained(folder)
    print(f"{folder}: {count_parameters(config) / 1e6:.2f} M parameters, {count_flops(config) / 1e9:.3f} GFLOPs")
