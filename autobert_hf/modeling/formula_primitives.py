"""The attention primitives of AutoBERT-Zero (Gao et al., 2021, section 1.2): types, safe arithmetic, growth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .graph import Node, Primitive, Type, types


TOKENS, FEATURES = "tokens", "features"
INPUTS: dict[str, Type] = dict.fromkeys(("q", "k", "v", "p"), (TOKENS, FEATURES))

# The growth of a formula is judged for inputs up to INPUT_BOUND and sums over up to SUM_TERMS tokens or features.
INPUT_BOUND = 10.0
SUM_TERMS = 512.0
SMALLEST_NORM = 1e-3  # rows shorter than this are not stretched to length 1, which keeps the slope of cosine finite


class Bound(NamedTuple):
    """Worst-case size of a node's entries and of their derivatives by the inputs."""

    value: float
    slope: float


@dataclass(frozen=True, kw_only=True)
class AttentionPrimitive(Primitive):
    """A primitive with its arithmetic.

    `compute(head_dim, *operands)` works on (batch, heads, rows, columns). `masks` holds, per operand, the axis whose
    padded positions must not count where the last axis of the first operand, the one that is reduced, is tokens.
    """

    compute: Callable[..., Tensor]
    bound: Callable[..., Bound]
    masks: tuple[int | None, ...] = ()


class Step(NamedTuple):
    """A node ready to run: the axis of each operand to mask (None: as it is)."""

    name: str
    args: tuple[int, ...]
    masks: tuple[int | None, ...]


def plan(nodes: Sequence[Node]) -> tuple[Step, ...]:
    """The steps that compute `nodes` with every reduction over tokens masked."""
    found = types(nodes, PRIMITIVES, INPUTS)
    return tuple(Step(name, args, _masks(name, [found[arg] for arg in args])) for name, args in nodes)


def evaluate(steps: Sequence[Step], inputs: Mapping[str, Tensor], padding: Tensor | None) -> list[Tensor]:
    """The values of all steps. `inputs`: (B, H, T, d) by name; `padding`: (B, T), true for real tokens, or None.

    What stands in the padding is replaced by zeros at the entrance, so that NaN or infinity there can never spread,
    not even through a gradient; after that padding may hold any finite value, for every reduction masks it again.
    """
    padded = None if padding is None else padding[:, None, :, None] == 0
    head_dim = next(iter(inputs.values())).shape[-1]
    values: list[Tensor] = []
    for name, args, masks in steps:
        if not args:
            values.append(_masked(inputs[name], padded, -2, 0.0))
            continue
        fill = torch.finfo(values[args[0]].dtype).min if name == "softmax" else 0.0
        operands = [_masked(values[arg], padded, axis, fill) for arg, axis in zip(args, masks, strict=True)]
        values.append(PRIMITIVES[name].compute(head_dim, *operands))
    return values


def mixes_tokens(step: Step, result: Type) -> bool:
    """Whether a row of the result depends on other tokens' rows of the inputs (or an entry on a pair of tokens)."""
    return any(axis is not None for axis in step.masks) or result == (TOKENS, TOKENS)


def _masks(name: str, operands: list[Type]) -> tuple[int | None, ...]:
    if operands and PRIMITIVES[name].masks and operands[0][1] == TOKENS:
        return PRIMITIVES[name].masks
    return (None,) * len(operands)


def _masked(x: Tensor, padded: Tensor | None, axis: int | None, fill: float) -> Tensor:
    if padded is None or axis is None:
        return x
    return x.masked_fill(padded if axis == -2 else padded.mT, fill)


def _cosine(head_dim: int, x: Tensor, y: Tensor) -> Tensor:
    x, y = (functional.normalize(z, dim=-1, eps=SMALLEST_NORM) for z in (x, y))
    return x @ y.mT


def _euclidean(head_dim: int, x: Tensor, y: Tensor) -> Tensor:
    # By differences: |x|^2 + |y|^2 - 2xy cancels near 0. The gradient of cdist at 0 is 0; it has no bfloat16.
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.cdist(x.to(dtype), y.to(dtype), compute_mode="donot_use_mm_for_euclid_dist").to(x.dtype)


def _same(x: Type) -> Type:
    return x


def _pairwise(x: Type, y: Type) -> Type | None:
    return (x[0], y[0]) if x[1] == y[1] else None


def _unchanged(x: Bound) -> Bound:
    return x


PRIMITIVES: dict[str, AttentionPrimitive] = {
    "neg": AttentionPrimitive(arity=1, result=_same, compute=lambda d, x: -x, bound=_unchanged),
    "transpose": AttentionPrimitive(
        arity=1, result=lambda x: (x[1], x[0]), compute=lambda d, x: x.mT, bound=_unchanged
    ),
    "scale": AttentionPrimitive(arity=1, result=_same, compute=lambda d, x: x * d**-0.5, bound=_unchanged),
    "softmax": AttentionPrimitive(
        arity=1,
        result=_same,
        compute=lambda d, x: x.softmax(-1),
        bound=lambda x: Bound(1.0, x.slope),
        masks=(-1,),
    ),
    "logsigmoid": AttentionPrimitive(
        arity=1,
        result=_same,
        compute=lambda d, x: functional.logsigmoid(x),
        bound=lambda x: Bound(x.value + 1.0, x.slope),
    ),
    "softsign": AttentionPrimitive(
        arity=1, result=_same, compute=lambda d, x: functional.softsign(x), bound=lambda x: Bound(1.0, x.slope)
    ),
    "add": AttentionPrimitive(
        arity=2,
        result=lambda x, y: x if x == y else None,
        commutative=True,
        compute=lambda d, x, y: x + y,
        bound=lambda x, y: Bound(x.value + y.value, x.slope + y.slope),
    ),
    "matmul": AttentionPrimitive(
        arity=2,
        result=lambda x, y: (x[0], y[1]) if x[1] == y[0] else None,
        compute=lambda d, x, y: x @ y,
        bound=lambda x, y: Bound(SUM_TERMS * x.value * y.value, SUM_TERMS * (x.value * y.slope + x.slope * y.value)),
        masks=(None, -2),
    ),
    "cosine": AttentionPrimitive(
        arity=2,
        result=_pairwise,
        compute=_cosine,
        bound=lambda x, y: Bound(1.0, SUM_TERMS**0.5 / SMALLEST_NORM * (x.slope + y.slope)),
        masks=(-1, -1),
    ),
    "euclidean": AttentionPrimitive(
        arity=2,
        result=_pairwise,
        compute=_euclidean,
        bound=lambda x, y: Bound(SUM_TERMS**0.5 * (x.value + y.value), SUM_TERMS**0.5 * (x.slope + y.slope)),
        masks=(-1, -1),
    ),
}
