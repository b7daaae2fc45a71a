"""Pipelines find our classes by a folder's name alone, and say what the networks say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizer, PreTrainedModel

from .shapes import build


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "ran", "on", "a", "mat", ".", "this", "example", "is", "about", "nature"]
NLI = {"contradiction": 0, "neutral": 1, "entailment": 2}
SHORT, LONG = "the cat sat", "the dog ran on the mat . a cat sat on a mat ."


@pytest.fixture
def save(tmp_path: Path) -> Any:  # noqa: ANN401
    def save(head: type[PreTrainedModel], shape: str = "autobert_zero", **overrides: Any) -> str:
        build(head, shape, **overrides).save_pretrained(tmp_path)
        BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(tmp_path)
        return str(tmp_path)

    return save


def logits(folder: str, auto: Any, text: str) -> torch.Tensor:  # noqa: ANN401
    inputs = BertTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        return auto.from_pretrained(folder)(**inputs)[0][0]
