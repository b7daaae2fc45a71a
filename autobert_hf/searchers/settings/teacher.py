"""Settings of the teacher: the encoder that networks learn from and may be initialized from."""

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.inputs import Inputs, model_inputs
from autobert_hf.lab.distilling.adapters import adapter_base
from autobert_hf.lab.distilling.teacher import Teacher, TeacherError, teacher_config
from autobert_hf.lab.distilling.teacher_head import has_task, head_in_words
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.modeling.bert_family import as_bert_config
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import ConversionError, from_bert_config
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.network import NetworkSettings
from autobert_hf.searchers.settings.text import TextSettings


@dataclass
class TeacherSettings(TextSettings, NetworkSettings):
    has_teacher = True
    weights_alone: ClassVar[bool] = False  # whether a teacher may give its weights and teach nothing

    loss: str = described(
        "Training loss. From a teacher: paper (scores of the last attention, and last states), relations (of queries, "
        "keys, values, and states), relations-kl, -mse, -raw (these alone), sentences (cosines of sentences, and "
        "states), mlm+relations; from text: mlm, mlm+nsp. Default: paper with a teacher, else mlm.",
        "",
    )
    teacher: str = described("Encoder to learn from, id or folder. Default: none, masked tokens only.", "", place=True)
    start: Literal["teacher", "scratch"] = described("Initial weights and sizes of the supernet.", "teacher")

    def __post_init__(self) -> None:
        self.loss = self.loss or ("paper" if self.teacher else "mlm")
        self.tokenizer = self.tokenizer or self.teacher
        super().__post_init__()
        if self.needs_teacher and not self.teacher:
            raise ValueError(f"{self.needs_teacher} learns from a teacher: give --teacher, or --loss mlm.")
        if self.teacher and not self.needs_teacher and not (self.weights_alone and self.from_teacher):
            raise ValueError(f"--loss {self.loss} learns nothing from a teacher: leave --teacher or --loss out.")

    @property
    def from_teacher(self) -> bool:
        return bool(self.teacher) and self.start == "teacher"

    def open_teacher(self, text: Text, run: Run) -> Teacher | None:
        """Where the run begins, with a warning about a head that it does not use."""
        if not self.teacher:
            return None
        trust = self.trust_remote_code
        config, team = teacher_config(self.teacher, self.length, trust), run.team
        if has_task(config) and team.is_main and not (run.path / "report" / "space.json").exists():
            warn_of_head(self.teacher, config)
        teacher = Teacher(self.teacher, text.tokenizer, team.device, trust)
        teacher.check_length(self.length)
        return teacher

    def new_final_loss(self, model: PreTrainedModel, teacher: Teacher | None, text: Text) -> Loss:
        """Starts from the best linear map for the model's weights; all models of a trial see the same batches."""
        if teacher is not None:
            teacher.remember()
        loss = LOSSES[self.final_loss](model.config, teacher)
        loss.fit([model.eval()], text.fitting_batches("ridge"))
        return loss

    def inputs(self) -> Inputs:
        inputs = super().inputs()
        if not self.teacher:
            return inputs
        if self.tokenizer == self.teacher:
            inputs.pop("tokenizer", None)  # its files are among the teacher's
        base = adapter_base(self.teacher)
        more = {"base of the teacher": model_inputs(base)} if base else {}
        return inputs | {"teacher": model_inputs(self.teacher)} | more

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


def warn_of_head(teacher: str, config: PreTrainedConfig) -> None:
    warnings.warn(
        f"Of the teacher {teacher} only the encoder is used, not {head_in_words(config)}: the result has no head and "
        "no labels. Fine-tune it on the task afterwards.",
        stacklevel=2,
    )
