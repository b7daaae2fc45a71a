"""The teacher of a distillation: any Hugging Face encoder, with checks that it is suitable."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.text import vocabulary_size
from autobert_hf.lab.distilling.adapters import HEADS, AdapterError, adapter_config, merged, tokenizer_source
from autobert_hf.lab.distilling.sentence_vectors import sentence_vectors
from autobert_hf.lab.distilling.signals import Signals, attention_of, encoder_inputs, signals
from autobert_hf.lab.distilling.teacher_cache import Answer, TeacherCache
from autobert_hf.lab.distilling.teacher_head import head_in_words, head_of
from autobert_hf.lab.only_errors import only_errors
from autobert_hf.lab.own_code import OwnCodeError, own_code_refused
from autobert_hf.modeling.bert_family import longest_input
from autobert_hf.records.model_folder import load_encoder, loading


class TeacherError(ValueError):
    """The teacher cannot be used; the message says why, and what to do."""


def teacher_config(source: str, length: int = 0, trust: bool = False) -> PreTrainedConfig:
    """
    The configuration of the teacher in a folder or with a Hub id, of an adapter its base's. With `trust`, code that
    comes with it is run.

    Raises:
        TeacherError: if it cannot be loaded, is not an encoder, or takes fewer than `length` tokens.
    """
    adapter = _adapter(source)
    config = _load(adapter["base_model_name_or_path"] if adapter else source, AutoConfig.from_pretrained, trust)
    if adapter and adapter.get("task_type") in HEADS:
        config.architectures = [HEADS[adapter["task_type"]]]
    decodes = config.is_encoder_decoder or getattr(config, "is_decoder", False)
    has_own_code = trust and "AutoModel" in (getattr(config, "auto_map", None) or {})
    if decodes or (type(config) not in MODEL_FOR_MASKED_LM_MAPPING and not has_own_code):
        raise TeacherError(
            f"The teacher {source} is a {config.model_type!r} model, no encoder: give a bidirectional encoder "
            "such as BERT."
        )
    if (longest := longest_input(config)) is not None and longest < length:
        raise TeacherError(f"The teacher {source} takes {longest} tokens, --length is {length}: give less.")
    return config


class Teacher:
    """
    A frozen encoder without dropout that computes the signals of batches; `remember` makes it cache them, for students
    that are all trained on the same batches. `sentences` makes one vector of a text.

    Raises:
        TeacherError: if it cannot be loaded, or its vocabulary is not that of `tokenizer`.
    """

    def __init__(
        self, source: str, tokenizer: PreTrainedTokenizerBase, device: torch.device, trust: bool = False
    ) -> None:
        check_tokenizer(source, tokenizer, trust)
        self.source = source
        self.device = device
        self.model = load_teacher(source, trust).to(device).requires_grad_(False)  # type: ignore[arg-type]
        self.sentences = sentence_vectors(source)
        if self.sentences.behind is not None:
            self.sentences.behind.to(device)
        self.cache: TeacherCache | None = None

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config

    def __str__(self) -> str:
        """What of it is used, and what is not."""
        used = f"Teacher: the encoder of {self.source}, without pooler"
        return f"{used} and without {head_in_words(self.config)}." if head_of(self.config) else f"{used}."

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

    def check_length(self, length: int) -> None:
        """Raises TeacherError if it cannot read `length` tokens, of which not every configuration knows."""
        word = torch.full((1, length), (self.config.pad_token_id or 0) + 1, device=self.device)
        try:
            self.signals({"input_ids": word, "attention_mask": torch.ones_like(word)}, attention=False)
        except (IndexError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise TeacherError(
                f"The teacher {self.source} cannot read --length {length} tokens ({reason}): give less."
            ) from error

    @torch.no_grad()
    def signals(self, batch: Batch, attention: bool = True) -> Signals:
        return self._answer(batch, attention, lambda: self._signals(batch, attention))

    @torch.no_grad()
    def states(self, batch: Batch, layers: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Hidden states (batch, tokens, width) after so many layers; 0 for the embeddings."""

        def ask() -> tuple[Tensor, ...]:
            found = self.model(**encoder_inputs(batch), output_hidden_states=True).hidden_states
            return tuple(found[layer] for layer in layers)

        return self._answer(batch, layers, ask)

    def remember(self) -> None:
        self.cache = self.cache or TeacherCache(self.device.type)

    def _answer(self, batch: Batch, what: Hashable, ask: Callable[[], Answer]) -> Answer:
        return ask() if self.cache is None else self.cache(batch, what, ask)

    def _signals(self, batch: Batch, attention: bool) -> Signals:
        found = signals(self.model, batch)
        return found if attention else replace(found, attention=None)


def load_teacher(source: str, trust: bool = False) -> PreTrainedModel:
    """
    The encoder in fp32, without head and, if it has the option, without pooler; adapters are merged. Raises
    TeacherError.

    The precision of the weights in the file is not kept: students, maps and errors are in fp32, and mixed precision is
    a setting of the run.
    """
    config = teacher_config(source, trust=trust)
    base = (_adapter(source) or {}).get("base_model_name_or_path")
    with only_errors():  # and no warnings about the head and the pooler that are left out
        model: PreTrainedModel = _load(base or source, load_encoder, trust)
    if base:
        with _as_teacher_error(source):
            model = merged(model, source)
        model.config.architectures = config.architectures
    return model.eval()


def _adapter(source: str) -> dict[str, Any] | None:
    with _as_teacher_error(source):
        return adapter_config(source)


def check_tokenizer(source: str, tokenizer: PreTrainedTokenizerBase, trust: bool = False) -> None:
    """
    Checks that `tokenizer` and the teacher's own tokenizer give every token the same id.

    Raises:
        TeacherError: if they do not, or the teacher has fewer embeddings than tokens.
    """
    own = _load(tokenizer_source(source), AutoTokenizer.from_pretrained, trust)
    if own.get_vocab() != tokenizer.get_vocab():
        raise TeacherError(
            f"The tokenizer has another vocabulary than that of the teacher {source} ({len(tokenizer)} and {len(own)} "
            "words): leave --tokenizer out to use the teacher's."
        )
    if (size := vocabulary_size(own)) > (words := teacher_config(source, trust=trust).vocab_size):
        raise TeacherError(
            f"The tokenizer of the teacher {source} has {size} words, its embeddings {words}: they do not belong "
            "together. Give the teacher with its own tokenizer."
        )


def _load(source: str, load: Any, trust: bool, **options: Any) -> Any:  # noqa: ANN401 (a class of transformers)
    with _as_teacher_error(source), own_code_refused(f"The encoder {source}"):
        return load(source, trust_remote_code=trust, **options)


@contextmanager
def _as_teacher_error(source: str) -> Iterator[None]:
    try:
        with loading(source):
            yield
    except (AdapterError, OwnCodeError) as error:
        raise TeacherError(str(error)) from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TeacherError(
            f"The encoder {source} cannot be loaded ({reason}): check its name or folder; it needs weights, "
            "config.json and a tokenizer."
        ) from error
