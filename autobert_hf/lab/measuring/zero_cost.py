"""Scores of networks with random weights (zero-cost proxies), to compare with parameter counts. None needs data."""

import copy
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from autobert_hf.lab.measuring.workload import Workload


def _states(model: PreTrainedModel, workload: Workload) -> tuple[Tensor, Tensor]:
    """Random token ids (batch, length) and the last hidden states of them (batch, length, width)."""
    inputs = workload.inputs(model.config.vocab_size)
    return inputs["input_ids"], model(**inputs).last_hidden_state


def gradient_norm(model: PreTrainedModel, workload: Workload) -> float:
    """
    Norm of the gradient of the cross-entropy at random weights (Abdelfattah et al., 2021), over all parameters but the
    embeddings. Tokens are random; the words are predicted by the embedding table.
    """
    words, states = _states(model, workload)
    table: Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]  # of a table it is a tensor
    logits = states[:, :-1] @ table.T
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten())
    gradients = torch.autograd.grad(loss, _body(model), allow_unused=True)
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients if gradient is not None))


def synflow(model: PreTrainedModel, workload: Workload) -> float:
    """
    Logarithm of the synaptic flow (Tanaka et al., 2020): the sum of |w dR/dw| over all parameters but the embeddings,
    where R is the sum of the outputs of the network with absolute values for weights. Norms pass their input on, as
    they would hide the size of what flows; in fp64, in which the flow of some hundred layers has room.
    """
    model = copy.deepcopy(model).double()
    for parameter in model.parameters():
        parameter.data.abs_()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_hook(lambda norm, inputs, output: inputs[0])
    _, states = _states(model, workload)
    parameters = _body(model)
    gradients = torch.autograd.grad(states.sum(), parameters, allow_unused=True)
    flow = sum(
        float((parameter.detach() * gradient).abs().sum())
        for parameter, gradient in zip(parameters, gradients, strict=True)
        if gradient is not None
    )
    return math.log(flow) if flow > 0 else -math.inf


@torch.no_grad()
def separation(model: PreTrainedModel, workload: Workload) -> float:
    """
    How well the untrained network tells contexts apart: the logarithm of the determinant of the correlations among the
    last token's states over 32 random rows that end in the same word; 0 if all contexts are orthogonal, very negative
    if they are alike (as NASWOT, Mellor et al., 2021, does with the signs of ReLUs, which Transformers lack).

    The other two scores are sums over parameters, so they grow with their number whatever the network does. This one
    depends on shape only: attention that averages makes tokens alike with depth, feed-forward width works against it.
    It is therefore the control: a score of untrained networks that does not count anything.
    """
    rows = torch.randint(model.config.vocab_size, (32, workload.length), generator=torch.Generator().manual_seed(0))
    rows[:, -1] = rows[0, -1]
    states = model(input_ids=rows, attention_mask=torch.ones_like(rows)).last_hidden_state[:, -1].double()
    correlations = torch.corrcoef(states) + 1e-6 * torch.eye(len(rows), dtype=torch.float64)
    return float(torch.linalg.slogdet(correlations).logabsdet)


def _body(model: PreTrainedModel) -> list[nn.Parameter]:
    """Parameters outside the embeddings."""
    return [parameter for name, parameter in model.named_parameters() if not name.startswith("embeddings.")]


ZERO_COST: Mapping[str, Callable[[PreTrainedModel, Workload], float]] = {
    "gradient_norm": gradient_norm,
    "synflow": synflow,
    "separation": separation,
}
