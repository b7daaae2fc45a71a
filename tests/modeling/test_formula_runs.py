"""Where formulas must run: compiled, exported with a dynamic length, copied, pickled, on the meta device."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autobert_hf.modeling.formula import STANDARD_ATTENTION, Formula


LAYER_10 = "z = k / sqrt(d) + softsign(softsign(k) / sqrt(d)) + v; softmax(q @ z.T / sqrt(d)) @ v"
SOFTPLUS_KEYS = "softmax(q @ softplus(k.T) / sqrt(d)) @ (k + q)"
REAL = torch.arange(7)[None] < torch.tensor([[7], [3]])


def random_inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(2, 3, 7, 4, generator=generator) for name in "qkvp"}


class Layer(nn.Module):
    def __init__(self, text: str, lowered: bool) -> None:
        super().__init__()
        self.formula, self.lowered = Formula(text), lowered

    def forward(self, q: Tensor, k: Tensor, v: Tensor, real: Tensor) -> Tensor:
        inputs = {"q": q, "k": k, "v": v}
        if not self.lowered:
            return self.formula(inputs, real)
        x, y, z = self.formula.operands(inputs, real)
        scaling = self.formula.scaling(q.shape[-1])
        return functional.scaled_dot_product_attention(x, y, z, attn_mask=real[:, None, None], scale=scaling)


@pytest.mark.parametrize(
    ("text", "lowered"),
    [(LAYER_10, True), (SOFTPLUS_KEYS, False), ("cosine(q, k) @ v + softmax(k.T).T", False),
     ("softmax(-euclidean(q, k)) @ v", False)],
)  # fmt: skip
def test_compile_and_export(text: str, lowered: bool) -> None:
    layer = Layer(text, lowered)
    inputs = random_inputs()
    arguments = (inputs["q"], inputs["k"], inputs["v"], REAL)
    expected = layer(*arguments)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*arguments), expected)
    tokens = torch.export.Dim("tokens", min=2, max=64)
    dynamic = ({2: tokens}, {2: tokens}, {2: tokens}, {1: tokens})
    exported = torch.export.export(layer, arguments, dynamic_shapes=dynamic).module()
    torch.testing.assert_close(exported(*arguments), expected)
    longer = tuple(functional.pad(x, (0, 0, 0, 2)) for x in arguments[:3])
    torch.testing.assert_close(exported(*longer, functional.pad(REAL, (0, 2)))[:, :, :7], expected)


def test_formulas_copy_and_pickle() -> None:
    formula, inputs = Formula(LAYER_10), random_inputs()
    for other in (copy.deepcopy(formula), pickle.loads(pickle.dumps(formula))):
        assert (other.text, other.graph) == (formula.text, formula.graph)
        torch.testing.assert_close(other(inputs, None), formula(inputs, None))


def test_meta_device() -> None:
    inputs = {name: x.to("meta") for name, x in random_inputs().items()}
    for text in (STANDARD_ATTENTION, LAYER_10, SOFTPLUS_KEYS, "euclidean(q, k) @ v + cosine(q, k) @ p"):
        assert Formula(text)(inputs, REAL.to("meta")).shape == (2, 3, 7, 4)
