"""Error of models against their teacher as sentence encoders, comparable across widths and losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.teacher_terms import sentence_loss


@torch.no_grad()
def sentence_errors(models: Mapping[str, nn.Module], teacher: Teacher, batches: Sequence[Batch]) -> dict[str, float]:
    """
    Mean squared difference to the teacher's cosines between the sentences of a batch, by model name. Sentences are
    pooled as the teacher does. It needs no map between widths. The models are moved to the CPU, where int8 models run.
    """
    vectors, states = teacher.sentences, [teacher.signals(batch, attention=False) for batch in batches]
    answers = [vectors(one.hidden, one.real).cpu() for one in states]
    own = [{name: tensor.cpu() for name, tensor in batch.items()} for batch in batches]
    found = {}
    for name, model in models.items():
        network: Any = model.cpu().eval()
        errors = [
            sentence_loss(vectors.pooled(states.hidden, states.real), answer)
            for states, answer in zip((signals(network, batch) for batch in own), answers, strict=True)
        ]
        found[name] = torch.stack(errors).mean().item()
    return found
