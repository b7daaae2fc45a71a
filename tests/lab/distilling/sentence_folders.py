"""Folders of sentence-transformers, made by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch


WITHOUT = "sentence-transformers is not installed"


def sentence_folder(encoder: Path, folder: Path, pooling: str | tuple[str, ...], dense: int = 0) -> Any:  # noqa: ANN401
    """The encoder with pooling, a dense layer of that width if any, normalization and a prompt."""
    pytest.importorskip("sentence_transformers", reason=WITHOUT)
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(str(encoder), max_seq_length=20)
    width = transformer.get_embedding_dimension()
    modules: Sequence[torch.nn.Module] = [transformer, Pooling(width, pooling)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = [*modules, *([Dense(width, dense)] if dense else []), Normalize()]
    made = SentenceTransformer(modules=[*modules], prompts={"query": "w1 w2 "}, device="cpu")
    made.save(str(folder), create_model_card=False)
    return made
