"""Losses against a teacher: AutoTinyBERT's (section 3.2), MiniLMv2's relations, and one for sentence embeddings."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, mse_loss
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.linear_floor import linear_floor, relative_error
from autobert_hf.lab.distilling.ridge import ridge
from autobert_hf.lab.distilling.signals import DistillationError, Signals, attention_of, real_tokens, signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Score, Step
from autobert_hf.lab.losses.relation_terms import RelationTerm
from autobert_hf.lab.losses.teacher_terms import score_loss, sentence_loss
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertModel


class HiddenMap(nn.Module):
    """The learned map from the student's width to the teacher's; a narrower sub-network uses its first columns."""

    def __init__(self, width: int, teacher_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(teacher_width, width))
        self.bias = nn.Parameter(torch.zeros(teacher_width))

    def forward(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.weight[:, : hidden.shape[-1]], self.bias)


class Distillation(Loss):
    """
    A weighted sum of `terms`; each is a mean over real tokens, their pairs or pairs of sentences. Only the map to the
    teacher's width is learned, where a term has one.

    Raises:
        DistillationError: if student and teacher cannot be compared.
    """

    unit = "distillation loss"
    rows = "texts"
    head = AutoBertModel
    needs_teacher = True
    terms: ClassVar[Mapping[str, float]]
    reads_attention: ClassVar[bool] = True

    def __init__(self, student: PreTrainedConfig, teacher: Teacher | None = None) -> None:
        super().__init__(student)
        assert teacher is not None
        # In a tuple, so that the teacher's weights are not parameters of this module: neither trained nor saved.
        self._teacher = (teacher,)
        self.map = self._new_map(student) if {"hidden", "relative_hidden"} & self.terms.keys() else None
        heads = student.num_attention_heads if self.reads_attention else 1
        self.relation_heads = math.gcd(teacher.heads, heads) if self.reads_attention else 1
        if "scores" in self.terms and heads != teacher.heads:
            raise DistillationError(
                f"The students have {heads} heads, the teacher {teacher.heads}: give --num-attention-heads "
                f"{teacher.heads} or --loss relations."
            )

    @classmethod
    def network(cls, config: AutoBertConfig) -> AutoBertModel:
        return AutoBertModel(config, add_pooling_layer=False)

    def renewed(self, student: PreTrainedConfig) -> "Distillation":
        return type(self)(student, self.teacher)

    def _new_map(self, student: PreTrainedConfig) -> HiddenMap:
        return HiddenMap(student.hidden_size, self.teacher.config.hidden_size).to(self.teacher.device)

    @property
    def teacher(self) -> Teacher:
        return self._teacher[0]

    def items(self, batch: Batch) -> dict[str, int]:
        lengths = real_tokens(batch).sum(1)
        counts = {"scores": int(lengths.square().sum()), "sentences": len(lengths) ** 2}
        return {name: counts.get(name, int(lengths.sum())) for name in self.terms}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        own, theirs = self.items(batch), self.teacher.signals(batch, self.reads_attention)

        def losses(network: Network) -> dict[str, Tensor]:
            found = self.weighted(signals(network, batch), theirs)
            return {name: value * (own[name] / items[name]) for name, value in found.items()}

        return losses

    def score(self, batch: Batch) -> Score:
        own, theirs = self.items(batch), self.teacher.signals(batch, self.reads_attention)

        def score(network: Network) -> dict[str, tuple[float, int]]:
            found = self.weighted(signals(network, batch), theirs)
            return {name: (value.item() * own[name], own[name]) for name, value in found.items()}

        return score

    def weighted(self, student: Signals, teacher: Signals) -> dict[str, Tensor]:
        """Each term's mean over the items of this batch, times its weight."""
        return {name: weight * self.term(name, student, teacher) for name, weight in self.terms.items()}

    def term(self, name: str, student: Signals, teacher: Signals) -> Tensor:
        if name in ("hidden", "relative_hidden"):
            return self.hidden_loss(student, teacher, relative=name != "hidden")
        if name == "relations":
            compared, real = RelationTerm(self.relation_heads), student.real
            theirs = compared.of(attention_of(teacher, "The teacher"), real)
            return compared.loss(compared.of(attention_of(student, "The student"), real), theirs, real)
        if name == "sentences":
            vectors = self.teacher.sentences
            ours = vectors.pooled(student.hidden, student.real)
            return sentence_loss(ours, vectors(teacher.hidden, teacher.real))
        return score_loss(student, teacher)

    def hidden_loss(self, student: Signals, teacher: Signals, relative: bool) -> Tensor:
        """Mean squared error of the mapped last hidden states at real tokens; `relative` to the teacher's variance."""
        theirs = teacher.hidden[teacher.real].float()
        assert self.map is not None
        error = mse_loss(self.map(student.hidden[student.real]).float(), theirs)
        return error / theirs.var(0, correction=0).mean() if relative else error

    @torch.no_grad()
    def fit(self, networks: Sequence[Network], batches: Sequence[Batch]) -> None:
        """Sets the map to the best linear one for these networks: a random start would waste a short training."""
        if self.map is not None:
            self._fit(self.map, networks, batches)

    def _fit(self, map: HiddenMap, networks: Sequence[Network], batches: Sequence[Batch]) -> None:
        answers = [self.teacher.signals(batch, attention=False) for batch in batches]
        pairs = ((signals(one, batch), t) for one in networks for batch, t in zip(batches, answers, strict=True))
        weight, bias = ridge((one.hidden[one.real], other.hidden[other.real]) for one, other in pairs).solve()
        map.weight[:, : weight.shape[1]] = weight
        map.bias.copy_(bias)

    def floors(self, text: Text) -> dict[str, float]:
        """`linear_floor`: relative error of the best linear map from the teacher's embeddings (no token mixing)."""
        fit, test = text.fitting_batches("floor"), text.on_device(text.held_out)
        return {"linear_floor": linear_floor(self.teacher.model, fit, test)}

    @torch.no_grad()
    def error(self, network: PreTrainedModel, text: Text) -> float:
        """The error of last hidden states over the teacher's variance, with the best linear map for this network."""
        fitted = self._new_map(network.config)
        self._fit(fitted, [network.eval()], text.fitting_batches("ridge"))
        held_out = text.on_device(text.held_out)
        pairs = ((signals(network, batch), self.teacher.signals(batch, attention=False)) for batch in held_out)
        return relative_error((fitted(s.hidden[s.real]), t.hidden[t.real]) for s, t in pairs)


class ScoresAndStates(Distillation):
    """AutoTinyBERT's loss (section 3.2): scores of the last attention, and last hidden states."""

    terms = {"scores": 1.0, "hidden": 1.0}


class RelationsAndStates(Distillation):
    """MiniLMv2's relations and last hidden states, for students whose number of heads differs from the teacher's."""

    terms = {"relations": 1.0, "hidden": 1.0}


class SentencesAndStates(Distillation):
    """
    For sentence-embedding teachers: last hidden states relative to their variance, and cosines of sentences, with the
    teacher's pooling.
    """

    terms = {"relative_hidden": 1.0, "sentences": 1.0}
    reads_attention = False
