from typing import Any
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_PRETRAINING_MAPPING_NAMES

from autobert_hf import *
import autobert_hf
from .shapes import ModelTester
from .upstream import load, LEFT_OUT

_modules = load()
ModelTesterMixin = _modules["test_modeling_common"].ModelTesterMixin
ConfigTester = _modules["test_configuration_common"].ConfigTester
TrainingTesterMixin = _modules["test_training_mixin"].TrainingTesterMixin
GenerationTesterMixin = LEFT_OUT["generation.test_utils"]["GenerationTesterMixin"]
HEADS = tuple(getattr(autobert_hf, n) for n in autobert_hf.__all__ if n.startswith(("AutoBertFor","AutoBertModel")) and n != "AutoBertForCausalLM")

class Suite(ModelTesterMixin, TrainingTesterMixin):
    all_model_classes = (AutoBertModel, AutoBertForMaskedLM)
    model_tester = None

    def setUp(self) -> None:
        self.model_tester = ModelTester(self.shape)
        self.config_tester = ConfigTester(self, config_class=AutoBertConfig, **self.model_tester.settings)

    def test_config(self) -> None:
        self.config_tester.run_common_tests()

    def _get_trainable_model_class(self):
        return AutoBertForMaskedLM

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels)
        if return_labels and model_class is AutoBertForPreTraining:
            size = inputs["input_ids"].shape
            inputs["labels"] = torch.zeros(size, dtype=torch.long)
            inputs["next_sentence_label"] = torch.zeros(size[0], dtype=torch.long)
        return inputs

class DecoderSuite(GenerationTesterMixin, Suite):
    all_model_classes = (AutoBertModel, AutoBertForCausalLM)
    def _get_trainable_model_class(self):
        return AutoBertForCausalLM
