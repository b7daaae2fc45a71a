"""The teacher of a distillation: any Hugging Face encoder, with checks that it is suitable."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.text import sha256_of
from autobert_hf.lab.distilling.signals import Signals, attention_of, signals
from autobert_hf.lab.distilling.teacher_cache import TeacherCache
from autobert_hf.records.model_folder import load_encoder, loading


class TeacherError(ValueError):
    """The teacher cannot be used; the message says why, and what to do."""


def teacher_config(source: str, length: int = 0) -> PreTrainedConfig:
    """
    The configuration of the teacher in a folder or with a Hub id.

    Raises:
        TeacherError: if it cannot be loaded, is not an encoder, or takes fewer than `length` tokens.
    """
    config = _load(source, AutoConfig.from_pretrained)
    decodes = config.is_encoder_decoder or getattr(config, "is_decoder", False)
    if decodes or type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise TeacherError(
            f"The teacher {source} is a {config.model_type!r} model, no encoder: give a bidirectional encoder "
            "such as BERT."
        )
    if (longest := getattr(config, "max_position_embeddings", length)) < length:
        raise TeacherError(f"The teacher {source} takes {longest} tokens, --length is {length}: give less.")
    return config


class Teacher:
    """
    A frozen encoder without dropout that computes the signals of batches; `remember` makes it cache them, for students
    that are all trained on the same batches.

    Raises:
        TeacherError: if it cannot be loaded, or its vocabulary is not that of `tokenizer`.
    """

    def __init__(self, source: str, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        check_tokenizer(source, tokenizer)
        self.source = source
        self.device = device
        self.model = load_teacher(source).to(device).requires_grad_(False)  # type: ignore[arg-type]
        self.answer: Callable[[Batch, bool], Signals] = self._signals

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config

    @cached_property
    def heads(self) -> int:
        """
        Number of heads of the last attention layer.

        Raises:
            DistillationError: if the layer does not use transformers' attention interface.
        """
        word = torch.zeros(1, 2, dtype=torch.long, device=self.device)
        seen = self.signals({"input_ids": word, "attention_mask": torch.ones_like(word)})
        return attention_of(seen, "The teacher").query.shape[1]

    @torch.no_grad()
    def signals(self, batch: Batch, attention: bool = True) -> Signals:
        return self.answer(batch, attention)

    def remember(self) -> None:
        if not isinstance(self.answer, TeacherCache):
            self.answer = TeacherCache(self.model)

    def _signals(self, batch: Batch, attention: bool) -> Signals:
        found = signals(self.model, batch)
        return found if attention else replace(found, attention=None)


def load_teacher(source: str) -> PreTrainedModel:
    """The encoder without head and, if it has the option, without pooler. Raises TeacherError."""
    teacher_config(source)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # hides warnings about the pooler left out
    return _load(source, load_encoder).eval()


def check_tokenizer(source: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """
    Checks that `tokenizer` and the teacher's own tokenizer give every token the same id.

    Raises:
        TeacherError: if they do not, or the teacher has fewer embeddings than tokens.
    """
    own = _load(source, AutoTokenizer.from_pretrained)
    if own.get_vocab() != tokenizer.get_vocab():
        raise TeacherError(
            f"The tokenizer has another vocabulary than that of the teacher {source} ({len(tokenizer)} and {len(own)} "
            "words): leave --tokenizer out to use the teacher's."
        )
    if len(own) > (words := teacher_config(source).vocab_size):
        raise TeacherError(
            f"The tokenizer of the teacher {source} has {len(own)} words, its embeddings {words}: they do not belong "
            "together. Give the teacher with its own tokenizer."
        )


def teacher_inputs(source: str) -> dict[str, str]:
    """What a run records of its teacher: digests of weights in a folder, so that another teacher cannot resume it."""
    digests = [sha256_of(path) for path in sorted(Path(source).glob("*.safetensors"))]
    return {"teacher": f"sha256 {' '.join(digests)}" if digests else source}


def _load(source: str, load: Callable[[str], Any]) -> Any:  # noqa: ANN401 (whatever it loads)
    try:
        with loading(source):
            return load(source)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TeacherError(
            f"The teacher {source} cannot be loaded ({reason}): check its name or folder; it needs weights, "
            "config.json and a tokenizer."
        ) from error
