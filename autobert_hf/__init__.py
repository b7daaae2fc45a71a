"""Architecture search for BERT-like encoders that ends in an ordinary Hugging Face model."""

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
    "__version__",
]

register()
