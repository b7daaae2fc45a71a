"""Settings of the teacher: the encoder that networks learn from and may be initialized from."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.inputs import Inputs, model_inputs
from autobert_hf.lab.distilling.adapters import adapter_base
from autobert_hf.lab.distilling.teacher import Teacher, teacher_config
from autobert_hf.lab.distilling.teacher_head import has_task, head_in_words
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.network import NetworkSettings
from autobert_hf.searchers.settings.text import TextSettings


@dataclass
class TeacherSettings(TextSettings, NetworkSettings):
    has_teacher = True
    teacher_loss: ClassVar[str] = "paper"  # what networks learn from a teacher unless --loss is given

    loss: str = described(
        "Training loss. From a teacher: paper (scores of the last attention, and last states), relations (of queries, "
        "keys, values, and states), relations-kl, -mse, -raw (these alone), sentences (cosines of sentences, and "
        "states), blocks (each block for itself), mlm+relations; from text: mlm, mlm+nsp. Default: mlm, and with a "
        "teacher what the method's paper learns from it.",
        "",
    )
    teacher: str = described("Encoder to learn from, id or folder. Default: none, masked tokens only.", "", place=True)

    def __post_init__(self) -> None:
        self.loss = self.loss or (self.teacher_loss if self.teacher else "mlm")
        self.tokenizer = self.tokenizer or self.teacher
        super().__post_init__()
        if self.needs_teacher and not self.teacher:
            raise ValueError(f"{self.needs_teacher} learns from a teacher: give --teacher, or --loss mlm.")
        if self.teacher and not self.needs_teacher and not self.has_its_weights:
            raise ValueError(f"--loss {self.loss} learns nothing from a teacher: leave --teacher or --loss out.")

    @property
    def has_its_weights(self) -> bool:
        """Whether the teacher's weights are of use where it teaches nothing."""
        return False

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


def warn_of_head(teacher: str, config: PreTrainedConfig) -> None:
    warnings.warn(
        f"Of the teacher {teacher} only the encoder is used, not {head_in_words(config)}: the result has no head and "
        "no labels. Fine-tune it on the task afterwards.",
        stacklevel=2,
    )
