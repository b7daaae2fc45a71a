"""Transformers' tests, tied to our classes: one subclass with a `shape` runs all of them on that shape."""

from typing import Any
from unittest.mock import Mock, patch

import torch

import autobert_hf
from autobert_hf import (
    AutoBertConfig,
    AutoBertForCausalLM,
    AutoBertForMaskedLM,
    AutoBertForPreTraining,
    AutoBertModel,
    AutoBertPreTrainedModel,
)
from autobert_hf.modeling import modeling_autobert

from .shapes import ModelTester
from .upstream import GenerationTesterMixin, load


_upstream = load()
# Two tests load files without any weights, from which a bare encoder gets no pooler; they look at what comes after.
unguarded = patch.multiple(modeling_autobert, drop_random_pooler=Mock())
HEADS = tuple(getattr(autobert_hf, name) for name in autobert_hf.__all__ if name.startswith("AutoBertFor"))


class EncoderSuite(
    _upstream["test_modeling_common"].ModelTesterMixin, _upstream["test_training_mixin"].TrainingTesterMixin
):
    shape: str
    all_model_classes: tuple[type[AutoBertPreTrainedModel], ...] = (AutoBertModel, AutoBertForMaskedLM)
    language_model: type[AutoBertPreTrainedModel] = AutoBertForMaskedLM
    model_tester = None  # upstream has it as an abstract property
    test_can_init_all_missing_weights_before_2023 = True  # upstream excuses old models, whose licence years it reads

    def setUp(self) -> None:
        self.model_tester = ModelTester(self.shape)

    def test_config(self) -> None:
        tester = _upstream["test_configuration_common"].ConfigTester
        tester(self, config_class=AutoBertConfig, **self.model_tester.settings).run_common_tests()

    @unguarded
    def test_can_init_all_missing_weights(self) -> None:
        super().test_can_init_all_missing_weights()

    @unguarded
    def test_model_weights_reload_no_missing_tied_weights(self) -> None:
        super().test_model_weights_reload_no_missing_tied_weights()

    def _get_trainable_model_class(self) -> type[AutoBertPreTrainedModel]:
        return self.language_model

    def _prepare_for_class(
        self, inputs_dict: dict[str, Any], model_class: type[AutoBertPreTrainedModel], return_labels: bool = False
    ) -> dict[str, Any]:
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels)
        if return_labels and model_class is AutoBertForPreTraining:
            inputs["labels"] = torch.zeros_like(inputs["input_ids"])
            inputs["next_sentence_label"] = torch.zeros(self.model_tester.batch_size, dtype=torch.long)
        return inputs


class DecoderSuite(GenerationTesterMixin, EncoderSuite):
    all_model_classes = (AutoBertModel, AutoBertForCausalLM)
    language_model = AutoBertForCausalLM
