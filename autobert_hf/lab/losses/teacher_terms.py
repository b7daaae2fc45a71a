"""
Terms of distillation losses: last attention scores (AutoTinyBERT, section 3.2 and its released code), relations
(MiniLMv2), and cosines of sentences, our own term for teachers of sentence embeddings.
"""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax, mse_loss

from autobert_hf.lab.distilling.signals import DistillationError, Signals, attention_of


def score_loss(student: Signals, teacher: Signals) -> Tensor:
    """
    Mean squared difference of the last attention's scores over pairs of real tokens. (The released code also counts
    masked pairs, with 0 in both networks: the loss then falls with the amount of padding.)
    """
    ours, theirs = attention_of(student, "The student").scores, attention_of(teacher, "The teacher").scores
    if ours.shape[1] != theirs.shape[1]:
        raise DistillationError(
            f"The student has {ours.shape[1]} heads in its last layer, the teacher {theirs.shape[1]}: give --loss "
            "relations, or keep all heads and narrow each of them."
        )
    return _masked_mean((ours - theirs).float().square(), _pairs(student.real))


def relation_loss(student: Signals, teacher: Signals, heads: int) -> Tensor:
    """
    MiniLMv2 (Wang et al., 2021): self-relations of queries, of keys and of values, with all heads concatenated and
    split again into `heads`. The sum of the three KL(teacher || student), mean over heads and real tokens.
    """
    ours, theirs = attention_of(student, "The student"), attention_of(teacher, "The teacher")
    losses = [
        _divergence(
            _relation(getattr(theirs, name), heads, teacher.real), _relation(part, heads, student.real), student
        )
        for name, part in (("query", ours.query), ("key", ours.key), ("value", ours.value))
    ]
    return torch.stack(losses).sum()


def sentence_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """
    Mean squared difference between the cosines of all pairs of sentences in the batch, of whose vectors (batch, width)
    the widths may differ.
    """
    ours, theirs = (cosine_similarity(one[:, None], one[None], dim=-1) for one in (student, teacher))
    return mse_loss(ours, theirs)


def _relation(x: Tensor, heads: int, real: Tensor) -> Tensor:
    """Log-probabilities (batch, heads, tokens, tokens) of softmax(A A^T / sqrt(d)), without padding."""
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
