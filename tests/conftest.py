"""A toy language and a toy network that can learn it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers import BertTokenizer
from transformers.utils import logging

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.team import Team


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = {word: index for index, word in enumerate([*SPECIAL, *(f"w{number}" for number in range(55))])}


@pytest.fixture(autouse=True)
def verbosity() -> Iterator[None]:
    """Commands leave transformers silent, which is right in a process of their own."""
    before = logging.get_verbosity()
    yield
    logging.set_verbosity(before)


@pytest.fixture(scope="module")
def without_rendering() -> Iterator[Callable[..., None]]:
    """
    Figures are drawn, and their files are empty: rendering takes longer than all the rest of a small run. Returns
    what renders them.
    """
    from matplotlib.figure import Figure

    render = Figure.savefig

    def save(figure: Figure, target: Any, **how: Any) -> None:
        """Formulas that a page shows go into memory, and are rendered."""
        target.touch() if isinstance(target, Path) else render(figure, target, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield render


@pytest.fixture
def rendering(without_rendering: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are rendered after all."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", without_rendering)


@pytest.fixture(scope="session")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab=WORDS)


@pytest.fixture
def rows() -> torch.Tensor:
    """(52, 20): [CLS], counting from another number in each row, so that every word follows from its neighbours."""
    counting = 5 + (torch.arange(52)[:, None] + torch.arange(18)) % 55
    edge = counting.new_ones(52, 1)
    return torch.cat([2 * edge, counting, 3 * edge], dim=1)


@pytest.fixture
def batches(rows: torch.Tensor, tokenizer: BertTokenizer) -> MaskedBatches:
    return MaskedBatches(rows, tokenizer, batch_size=8, seed=1)


@pytest.fixture
def config() -> AutoBertConfig:
    return AutoBertConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=2,
        layer_types=["conv", "full_attention"],
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def new_model(config: AutoBertConfig, seed: int = 0) -> AutoBertForMaskedLM:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoBertForMaskedLM(config)


@pytest.fixture
def model(config: AutoBertConfig) -> AutoBertForMaskedLM:
    return new_model(config)


@pytest.fixture
def other_model(config: AutoBertConfig) -> AutoBertForMaskedLM:
    """The same network with other weights: what a new process starts with before it loads a checkpoint."""
    return new_model(config, seed=1)


@pytest.fixture(scope="session")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True, mixed_precision="no")


@pytest.fixture(scope="session")
def team(accelerator: Accelerator) -> Team:
    return Team(accelerator)
