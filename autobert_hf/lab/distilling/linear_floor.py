"""The error of a linear map without token mixing: a distillation has to be better than that."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.ridge import ridge
from autobert_hf.lab.distilling.signals import encoder_inputs, real_tokens


@torch.no_grad()
def linear_floor(teacher: PreTrainedModel, fit: Iterable[Batch], test: Iterable[Batch]) -> float:
    """
    The error, relative to the teacher's variance, of the best linear map from the teacher's embeddings to its last
    hidden states, fitted on `fit`. A student that does not get below this on `test` makes no use of context.
    """

    def pairs(batches: Iterable[Batch]) -> Iterable[tuple[Tensor, Tensor]]:
        for batch in batches:
            outputs, real = teacher(**encoder_inputs(batch), output_hidden_states=True), real_tokens(batch)
            yield outputs.hidden_states[0][real], outputs.last_hidden_state[real]

    weight, bias = ridge(pairs(fit)).solve()
    return relative_error((linear(x, weight, bias), y) for x, y in pairs(test))


@torch.no_grad()
def relative_error(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Squared error over the variance of the target, for pairs (found, target) of (rows, width), over all batches."""
    error, rows, total, squares = 0.0, 0, torch.zeros(()), 0.0
    for found, wanted in pairs:
        error += (found - wanted).double().square().sum().item()
        rows, total = rows + len(wanted), total + wanted.double().sum(0)
        squares += wanted.double().square().sum().item()
    return error / (squares - total.square().sum().item() / rows)
