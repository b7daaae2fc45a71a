"""Settings of supernets that may start from a teacher's weights."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from autobert_hf.lab.distilling.teacher import TeacherError, teacher_config
from autobert_hf.modeling.bert_family import as_bert_config
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import ConversionError, from_bert_config
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.teacher import TeacherSettings


@dataclass
class TeacherStartSettings(TeacherSettings):
    weights_alone: ClassVar[bool] = False  # whether a teacher may give its weights and teach nothing

    start: Literal["teacher", "scratch"] = described("Initial weights and sizes of the supernet.", "teacher")

    @property
    def from_teacher(self) -> bool:
        return bool(self.teacher) and self.start == "teacher"

    @property
    def has_its_weights(self) -> bool:
        return self.weights_alone and self.from_teacher

    def base_config(self, vocab_size: int, pad_token_id: int) -> AutoBertConfig:
        """With a teacher's weights, also its sizes, but not its dropout."""
        if not self.from_teacher:
            return super().base_config(vocab_size, pad_token_id)
        try:
            config = from_bert_config(
                as_bert_config(teacher_config(self.teacher, self.length, self.trust_remote_code))
            )
        except ConversionError as error:
            raise TeacherError(
                f"The weights of {self.teacher} cannot be cut: {error} Give --start scratch."
            ) from error
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        unlabelled = AutoBertConfig()  # the labels are those of a head that is not there
        config.id2label, config.label2id = unlabelled.id2label, unlabelled.label2id
        config.problem_type, config.classifier_dropout = None, None
        return config
