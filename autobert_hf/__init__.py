"""Architecture search for BERT-like encoders that ends in an ordinary Hugging Face model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import (
    AutoBertForCausalLM,
    AutoBertForMaskedLM,
    AutoBertForMultipleChoice,
    AutoBertForNextSentencePrediction,
    AutoBertForPreTraining,
    AutoBertForQuestionAnswering,
    AutoBertForReplacedTokenDetection,
    AutoBertForSequenceClassification,
    AutoBertForTokenClassification,
    AutoBertModel,
    AutoBertPreTrainedModel,
)
from autobert_hf.registration import register


if TYPE_CHECKING:
    from autobert_hf.api import Study, load_study, search
    from autobert_hf.modeling.supernet import AutoBertSuperNet
    from autobert_hf.modeling.supernet_space import SuperNetSpace
    from autobert_hf.searchers.spaces.grid import GridSpace


__version__ = "0.1.0"

__all__ = [
    "AutoBertConfig",
    "AutoBertForCausalLM",
    "AutoBertForMaskedLM",
    "AutoBertForMultipleChoice",
    "AutoBertForNextSentencePrediction",
    "AutoBertForPreTraining",
    "AutoBertForQuestionAnswering",
    "AutoBertForReplacedTokenDetection",
    "AutoBertForSequenceClassification",
    "AutoBertForTokenClassification",
    "AutoBertModel",
    "AutoBertPreTrainedModel",
    "AutoBertSuperNet",
    "GridSpace",
    "Study",
    "SuperNetSpace",
    "__version__",
    "load_study",
    "search",
]

# Imported on first use: loading a model does not need their dependencies.
LATER = {
    "AutoBertSuperNet": "autobert_hf.modeling.supernet",
    "SuperNetSpace": "autobert_hf.modeling.supernet_space",
    "GridSpace": "autobert_hf.searchers.spaces.grid",
    "Study": "autobert_hf.api",
    "load_study": "autobert_hf.api",
    "search": "autobert_hf.api",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (classes and functions)
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})


register()
