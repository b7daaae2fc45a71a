"""
Losses against a teacher, any Hugging Face encoder, with or without a head: of AutoTinyBERT (section 3.2 and its
released code: last attention scores and hidden states), of MiniLMv2 (relations), and one of our own for teachers of
sentence embeddings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, linear, log_softmax, mse_loss
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.distilling.attention_record import Projections, last_attention
from autobert_hf.lab.distilling.ridge import ridge


Batch = Mapping[str, Tensor]

# What the losses are made of, with their weights.
PAPER = {"scores": 1.0, "hidden": 1.0}
RELATIONS = {"relations": 1.0, "hidden": 1.0}
SENTENCES = {"relative_hidden": 1.0, "sentences": 1.0}


class DistillationError(ValueError):
    """Student and teacher have nothing to compare."""


class Network(Protocol):
    """A bare encoder, or a sub-network of one."""

    config: PreTrainedConfig

    def __call__(self, **batch: Any) -> Any: ...  # noqa: ANN401


@dataclass(frozen=True)
class Signals:
    """Last hidden states (batch, tokens, width), what the last attention worked on, and which tokens are real."""

    hidden: Tensor
    attention: Projections | None
    real: Tensor


def signals(network: Network, batch: Batch) -> Signals:
    with last_attention(network.config) as seen:
        hidden = network(**_inputs(batch)).last_hidden_state
    return Signals(hidden, seen[0] if seen else None, _real(batch))


def _inputs(batch: Batch) -> dict[str, Tensor]:
    """What an encoder reads of a batch, which may be one of masked words."""
    return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch}


def _real(batch: Batch) -> Tensor:
    return batch["attention_mask"].bool() if "attention_mask" in batch else torch.ones_like(batch["input_ids"]).bool()


def score_loss(student: Signals, teacher: Signals) -> Tensor:
    """
    Mean squared difference of the last attention's scores over pairs of real tokens. (The released code also counts
    masked pairs, with 0 in both networks: the loss then falls with the amount of padding.)
    """
    ours, theirs = attention_of(student, "The student").scores, attention_of(teacher, "The teacher").scores
    if ours.shape[1] != theirs.shape[1]:
        raise DistillationError(
            f"The student has {ours.shape[1]} heads in its last layer, the teacher {theirs.shape[1]}: compare "
            "relations instead of attention scores, or keep all heads and narrow each of them."
        )
    return _masked_mean((ours - theirs).float().square(), _pairs(student.real))


def relation_loss(student: Signals, teacher: Signals, heads: int) -> Tensor:
    """
    MiniLMv2 (Wang et al., 2021): the relations of queries, of keys and of values to each other, all heads laid side
    by side and divided anew into `heads`; sum of the three KL(teacher || student), mean over heads and real tokens.
    """
    ours, theirs = attention_of(student, "The student"), attention_of(teacher, "The teacher")
    losses = [
        _divergence(
            _relation(getattr(theirs, name), heads, teacher.real), _relation(part, heads, student.real), student
        )
        for name, part in (("query", ours.query), ("key", ours.key), ("value", ours.value))
    ]
    return torch.stack(losses).sum()


def sentence_loss(student: Signals, teacher: Signals) -> Tensor:
    """Mean squared difference between the cosines of all pairs of sentences in the batch, mean-pooled."""
    cosines = []
    for one in (student, teacher):
        weights = one.real[..., None].to(one.hidden.dtype)
        pooled = ((one.hidden * weights).sum(1) / weights.sum(1)).float()
        cosines.append(cosine_similarity(pooled[:, None], pooled[None], dim=-1))
    return mse_loss(cosines[0], cosines[1])


def attention_of(network: Signals, name: str) -> Projections:
    if network.attention is None:
        raise DistillationError(
            f"{name}'s attention does not go through transformers' attention interface, so that its scores cannot be "
            "read: distil hidden states only."
        )
    return network.attention


def _relation(x: Tensor, heads: int, real: Tensor) -> Tensor:
    """Log-probabilities (batch, heads, tokens, tokens) of softmax(A A^T / sqrt(d)), padding left out."""
    joined = x.transpose(1, 2).flatten(2)
    if joined.shape[-1] % heads:
        raise DistillationError(
            f"{joined.shape[-1]} features cannot be divided into {heads} relation heads: give a number of relation "
            "heads that divides every width (with whole heads a divisor of their size)."
        )
    parts = joined.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = (parts @ parts.transpose(-1, -2)).float() * parts.shape[-1] ** -0.5
    return log_softmax(scores.masked_fill(~real[:, None, None], torch.finfo(torch.float32).min), dim=-1)


def _divergence(teacher: Tensor, student: Tensor, signals: Signals) -> Tensor:
    """KL(teacher || student) of log-probabilities, mean over heads and real tokens."""
    return _masked_mean((teacher.exp() * (teacher - student)).sum(-1), signals.real[:, None])


def _pairs(real: Tensor) -> Tensor:
    return real[:, None, :, None] & real[:, None, None]


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    mask = mask.expand_as(values)
    return values.masked_fill(~mask, 0.0).sum() / mask.sum()


class HiddenMap(nn.Module):
    """The learned map from the student's width to the teacher's; a narrower sub-network uses its first columns."""

    def __init__(self, width: int, teacher_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(teacher_width, width))
        self.bias = nn.Parameter(torch.zeros(teacher_width))

    def forward(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.weight[:, : hidden.shape[-1]], self.bias)


class Distillation(nn.Module):
    """
    An objective: `Distillation(...)(batch)` asks the teacher once and returns the loss of any (sub-)network on this
    batch. Only the map to the teacher's width is learned.

    Args:
        teacher: bare encoder (`AutoModel.from_pretrained(...)`); frozen, without dropout.
        width: hidden size of the largest student.
        terms: losses with their weights: `PAPER`, `RELATIONS`, `SENTENCES`, or any selection of their names.
        relation_heads: of `relations`; must divide the attention width of the teacher and of every student.
        ask: who answers for the teacher, where its answers are remembered.
    """

    def __init__(
        self,
        teacher: PreTrainedModel,
        width: int,
        terms: Mapping[str, float] = PAPER,
        relation_heads: int = 1,
        ask: Callable[[Batch], Signals] | None = None,
    ) -> None:
        super().__init__()
        if unknown := set(terms) - {*PAPER, *RELATIONS, *SENTENCES}:
            raise DistillationError(f"There is no loss {sorted(unknown)}; there are {', '.join(known_terms())}.")
        # In a tuple, so that the teacher's weights are none of ours: neither trained nor saved.
        self._teacher = (teacher.eval().requires_grad_(False),)
        self.map = HiddenMap(width, teacher.config.hidden_size)
        self.terms = dict(terms)
        self.relation_heads = relation_heads
        self.ask = ask or partial(signals, teacher)

    def forward(self, batch: Batch) -> Callable[[Network], Tensor]:
        with torch.no_grad():
            teacher = self.ask(batch)

        def loss(network: Network) -> Tensor:
            student = signals(network, batch)
            return torch.stack(
                [weight * self.term(name, student, teacher) for name, weight in self.terms.items()]
            ).sum()

        return loss

    def term(self, name: str, student: Signals, teacher: Signals) -> Tensor:
        if name in ("hidden", "relative_hidden"):
            return self.hidden_loss(student, teacher, relative=name != "hidden")
        if name == "relations":
            return relation_loss(student, teacher, self.relation_heads)
        return {"scores": score_loss, "sentences": sentence_loss}[name](student, teacher)

    def hidden_loss(self, student: Signals, teacher: Signals, relative: bool) -> Tensor:
        """Mean squared error of the mapped last hidden states at real tokens; `relative` to the teacher's variance."""
        theirs = teacher.hidden[teacher.real].float()
        error = mse_loss(self.map(student.hidden[student.real]).float(), theirs)
        return error / theirs.var(0, correction=0).mean() if relative else error

    @torch.no_grad()
    def start_at_ridge(self, student: Network, batches: Iterable[Batch]) -> None:
        """Sets the map to the best linear one for this network; a random start costs much of a short training."""
        pairs = ((signals(student, batch), signals(self._teacher[0], batch)) for batch in batches)
        weight, bias = ridge((one.hidden[one.real], other.hidden[other.real]) for one, other in pairs).solve()
        self.map.weight[:, : weight.shape[1]] = weight
        self.map.bias.copy_(bias)


def known_terms() -> list[str]:
    return [*dict.fromkeys([*PAPER, *RELATIONS, *SENTENCES])]


@torch.no_grad()
def linear_floor(teacher: PreTrainedModel, fit: Iterable[Batch], test: Iterable[Batch]) -> float:
    """
    How far a network without any mixing of tokens gets at once: the error, over the teacher's variance, of the best
    linear map from its embeddings to its last hidden states. A distillation loss says something below this only.
    """

    def pairs(batches: Iterable[Batch]) -> Iterable[tuple[Tensor, Tensor]]:
        for batch in batches:
            outputs, real = teacher(**_inputs(batch), output_hidden_states=True), _real(batch)
            yield outputs.hidden_states[0][real], outputs.last_hidden_state[real]

    weight, bias = ridge(pairs(fit)).solve()
    return relative_error((linear(x, weight, bias), y) for x, y in pairs(test))


@torch.no_grad()
def relative_error(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Squared error over the variance of what was wanted, both over all rows (rows, width) of all batches."""
    error, rows, total, squares = 0.0, 0, torch.zeros(()), 0.0
    for found, wanted in pairs:
        error += (found - wanted).double().square().sum().item()
        rows, total = rows + len(wanted), total + wanted.double().sum(0)
        squares += wanted.double().square().sum().item()
    return error / (squares - total.square().sum().item() / rows)
