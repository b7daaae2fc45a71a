"""Runs an example as its command line would, on tiny networks and tables."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

import autobert_hf
from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.text import train_tokenizer


EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(corpus(60, seed=0), vocab_size=500, model_max_length=64)


@pytest.fixture(scope="session")
def network(tokenizer, tmp_path_factory) -> Callable[..., Path]:
    """Saves a network of two layers, a convolution and attention, with its tokenizer, and gives the folder."""

    def save(head: str = "AutoBertModel", **settings: Any) -> Path:
        folder = tmp_path_factory.mktemp(head)
        settings = {"layer_types": ["conv", "full_attention"]} | settings
        config = AutoBertConfig(
            vocab_size=len(tokenizer), num_hidden_layers=len(settings["layer_types"]), **SIZES, **settings
        )
        torch.manual_seed(0)
        getattr(autobert_hf, head)(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def encoder(network) -> Path:
    return network()


@pytest.fixture
def run(monkeypatch, tmp_path) -> Callable[..., dict[str, Any]]:
    """Gives the names that the example has at its end."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def run(name: str, *arguments: object) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        return runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run


def write_table(folder: Path, **splits: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for name, rows in splits.items():
        datasets.Dataset.from_list(rows).to_parquet(folder / f"{name}.parquet")
    return folder
