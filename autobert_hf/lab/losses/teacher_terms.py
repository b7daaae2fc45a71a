"""
Terms of distillation losses: last attention scores (AutoTinyBERT, section 3.2 and its released code), and cosines of
sentences, our own term for teachers of sentence embeddings.
"""

from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss

from autobert_hf.lab.distilling.signals import DistillationError, Signals, attention_of
from autobert_hf.lab.losses.relation_terms import masked_mean


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
    return masked_mean((ours - theirs).float().square(), _pairs(student.real))


def sentence_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """
    Mean squared difference between the cosines of all pairs of sentences in the batch, of whose vectors (batch, width)
    the widths may differ.
    """
    ours, theirs = (cosine_similarity(one[:, None], one[None], dim=-1) for one in (student, teacher))
    return mse_loss(ours, theirs)


def _pairs(real: Tensor) -> Tensor:
    return real[:, None, :, None] & real[:, None, None]
