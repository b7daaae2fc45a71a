"""What the networks of a run are trained for: masked words, or what a teacher knows."""

import math
from collections.abc import Iterable

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel

from autobert_hf.lab.distilling.teacher import check_tokenizer, load_teacher
from autobert_hf.lab.distilling.teacher_cache import Answers
from autobert_hf.lab.losses.distillation import (
    PAPER,
    RELATIONS,
    SENTENCES,
    Distillation,
    DistillationError,
    attention_of,
    linear_floor,
    relative_error,
    signals,
)
from autobert_hf.lab.training.trainer import Batch, to_device
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.supernets.sliced import Objective, masked_lm


TERMS = {"paper": PAPER, "relations": RELATIONS, "sentences": SENTENCES}
FIT_BATCHES = 30  # for linear maps in closed form


class Lesson:
    """
    `teacher` is None where masked words are learned. Opening one checks that it fits text and students.

    Raises:
        TeacherError, DistillationError: if it does not.
    """

    def __init__(self, job: Job, teacher: str, loss: str) -> None:
        self.job = job
        self.terms = TERMS[loss]
        self.teacher: PreTrainedModel | None = None
        self.answers: Answers | None = None
        if teacher:
            check_tokenizer(teacher, job.corpus.tokenizer)
            self.teacher = load_teacher(teacher).to(job.accelerator.device)
            self._check_heads(loss)
            self.answers = Answers(self.teacher, attention=loss != "sentences")

    def _check_heads(self, loss: str) -> None:
        assert self.teacher is not None
        if loss == "sentences":
            return
        with torch.no_grad():
            seen = signals(self.teacher, self.device(self.job.held_out[:1])[0])
        heads, own = attention_of(seen, "The teacher").query.shape[1], self.job.base.num_attention_heads
        self.relation_heads = math.gcd(heads, own)
        if loss == "paper" and heads != own:
            raise DistillationError(
                f"The students have {own} heads, the teacher {heads}: give --num-attention-heads {heads} or --loss "
                "relations."
            )

    def objective(self, width: int, ask: Answers | None = None) -> Objective:
        """For students of at most this width, with a map to the teacher's that starts as the identity."""
        if self.teacher is None:
            return masked_lm
        heads = self.relation_heads if "relations" in self.terms else 1
        return Distillation(self.teacher, width, self.terms, heads, ask).to(self.job.accelerator.device)

    def objective_of(self, model: PreTrainedModel) -> Objective:
        """
        For this one student, with the best linear map for its present state. The supernet sees each batch once, but
        all students of a run are shown the same ones: their teacher's answers are remembered.
        """
        objective = self.objective(model.config.hidden_size, self.answers)
        if isinstance(objective, Distillation):
            objective.start_at_ridge(model.eval(), self.some("ridge"))
        return objective

    def floor(self) -> float | None:
        """Error over the teacher's variance of a network that mixes no tokens."""
        if self.teacher is None:
            return None
        return linear_floor(self.teacher, self.some("floor"), self.device(self.job.held_out))

    @torch.no_grad()
    def relative_error(self, model: PreTrainedModel) -> float | None:
        """Of last hidden states over the teacher's variance, with the best linear map for this student."""
        if self.teacher is None:
            return None
        objective = self.objective_of(model)
        assert isinstance(objective, Distillation)
        pairs = ((signals(model, batch), signals(self.teacher, batch)) for batch in self.device(self.job.held_out))
        weight, bias = objective.map.weight[:, : model.config.hidden_size], objective.map.bias
        return relative_error((linear(s.hidden[s.real], weight, bias), t.hidden[t.real]) for s, t in pairs)

    def some(self, purpose: str) -> list[Batch]:
        return self.device(self.job.batches.batch(purpose, step=step) for step in range(FIT_BATCHES))

    def device(self, batches: Iterable[Batch]) -> list[Batch]:
        return [to_device(batch, self.job.accelerator) for batch in batches]
