"""
Interference on shared weights (MAGIC, Xu et al., 2022, section 3): how well the gradients agree that different
sub-networks send into an operation they share.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.loss import Loss, Step
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goal
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.spaces.chain import ChainSpace
from autobert_hf.searchers.supernets.supernet import Supernet


SHARED = 0  # the layer whose operation is shared: the first, as in the paper


@dataclass(frozen=True)
class Gradients:
    """The gradient of the operation in the first layer of a chain, for one batch and frozen weights."""

    supernet: Supernet
    loss: Loss
    batch: Batch

    def __call__(self, architecture: Architecture) -> Tensor:
        """Flattened; in evaluation mode, so that dropout does not differ."""
        named = self.supernet.module.named_parameters()
        shared = [p for name, p in named if f"encoder.layers.{SHARED}." in name]
        terms = self.loss(self.batch, self.loss.items(self.batch), Step())
        value = torch.stack([*terms(self.supernet.network(architecture, training=False)).values()]).sum()
        found = torch.autograd.grad(value, shared, allow_unused=True)
        return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


def cosine(one: Tensor, other: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(one, other, dim=0).item()


def interference_of(method: Method, contexts: int, networks: int, seed: int) -> dict[str, Any]:
    """
    The report on the supernet of a run, from `contexts` random chains for each shared operation and from
    `networks` random chains that share their first operation; all see the first held-out batch.

    Raises:
        RunError: if the run has no supernet of chains of two or more sub-layers, or has not trained it yet.
        ValueError: for no contexts, or fewer than two networks.
    """
    if contexts < 1 or networks < 2:
        raise ValueError(f"--contexts {contexts} --networks {networks}: give at least 1 and 2.")
    space, loss, text = method.space, method.loss, method.text
    if not isinstance(space, ChainSpace) or loss is None or text is None:
        raise RunError(
            f"The run of {method.run.path} has no shared weights of chains: give one of --method magic, whose layers "
            "are of a set of operations."
        )
    if space.length < 2:
        raise RunError(
            f"The chains of {method.run.path} have one sub-layer: there is no other one in which networks that share "
            "its weights could differ. Give a run with more --num-hidden-layers."
        )
    (supernet,) = method.supernets.values()
    evaluator = method.open_evaluator(method.run.path)
    (batch,) = text.on_device(text.held_out[:1])
    gradient, rng = Gradients(supernet, loss, batch), Random(derive(seed, "interference"))
    with tqdm(total=gradients_needed(space, contexts, networks), desc=method.run.path.name, unit="gradient") as bar:

        def counted(architecture: Architecture) -> Tensor:
            bar.update()
            return gradient(architecture)

        matrix = by_operation(space, counted, contexts, rng)
        return {
            "operations": [*space.operations],
            "matrix": matrix,
            "kinds": by_kind(space, matrix),
            "differences": by_differences(space, counted, contexts, rng),
            "ranks": by_rank(space, counted, evaluator, method.goals.main, networks, rng),
        }


def gradients_needed(space: ChainSpace, contexts: int, networks: int) -> int:
    """The number of gradients of `interference_of`."""
    families = contexts * len(with_weights(space)) * (1 + len(differences(space)))
    return families * len(space.operations) + networks


def with_weights(space: ChainSpace) -> list[str]:
    """The operations that can be shared: all but the identity."""
    return [name for name, layer in space.operations.items() if len(layer["skip"]) < 2]


def by_operation(
    space: ChainSpace, gradient: Callable[[Architecture], Tensor], contexts: int, rng: Random
) -> list[list[float]]:
    """
    (C, C): the mean cosine of two chains that differ in the second layer alone, by their operations there, over all
    shared operations and random rests of the chain.
    """
    names = [*space.operations]
    found = [[list[float]() for _ in names] for _ in names]
    for chains in families(space, 1, contexts, rng):
        given = [gradient(chain) for chain in chains]
        for i, one in enumerate(given):
            for j, other in enumerate(given):
                found[i][j].append(cosine(one, other))
    return [[fmean(values) for values in row] for row in found]


def by_kind(space: ChainSpace, matrix: Sequence[Sequence[float]]) -> dict[str, float]:
    """Means of the matrix off its diagonal: all, and for two operations of the same or of different kinds."""
    kinds = [(layer["layer_type"], layer["skip"]) for layer in space.operations.values()]
    pairs = [*combinations(range(len(kinds)), 2)]
    alike = [matrix[i][j] for i, j in pairs if kinds[i] == kinds[j]]
    unlike = [matrix[i][j] for i, j in pairs if kinds[i] != kinds[j]]
    means = {"all": [*alike, *unlike], "same kind": alike, "different kinds": unlike}
    return {name: fmean(values) for name, values in means.items() if values}


def differences(space: ChainSpace) -> list[int]:
    """Up to all layers but the shared one; with many layers every second number."""
    most = space.length - 1
    return [*range(1, most + 1, 2 if most > 6 else 1)]


def by_differences(
    space: ChainSpace, gradient: Callable[[Architecture], Tensor], contexts: int, rng: Random
) -> dict[int, float]:
    """The mean cosine of chains that share the first operation and differ in each of the next m layers."""
    found = {}
    for number in differences(space):
        values = []
        for chains in families(space, number, contexts, rng):
            given = [gradient(chain) for chain in chains]
            values += [cosine(one, other) for one, other in combinations(given, 2)]
        found[number] = fmean(values)
    return found


def families(space: ChainSpace, number: int, contexts: int, rng: Random) -> Iterator[list[Architecture]]:
    """
    For each shared operation, `contexts` times: C chains with this operation first, every two of which differ in all
    of the next `number` layers and nowhere else; the second layers are the operations in order.
    """
    names = [*space.operations]
    for shared in with_weights(space):
        for _ in range(contexts):
            starts = [0, *(rng.randrange(len(names)) for _ in range(number - 1))]
            rest = rng.choices(names, k=space.length - 1 - number)
            turned = [[names[(start + turn) % len(names)] for start in starts] for turn in range(len(names))]
            yield [space.of(shared, *changed, *rest) for changed in turned]


def by_rank(
    space: ChainSpace,
    gradient: Callable[[Architecture], Tensor],
    evaluator: Evaluator,
    goal: Goal,
    networks: int,
    rng: Random,
) -> list[Mapping[str, float]]:
    """
    Random chains that share their first operation, by the score of the run, best first: the mean cosine of each with
    all others, that is how well an anchor of this rank would agree with them.
    """
    first = with_weights(space)[0]
    drawn = [space.of(first, *space.names(space.sample(rng))[1:]) for _ in range(networks)]
    scores = [evaluator.evaluate(number, one, lambda step, found: True)[0] for number, one in enumerate(drawn)]
    given = [gradient(one) for one in drawn]
    rows = [
        {"score": scores[i][goal.name], "cosine": fmean(cosine(given[i], given[j]) for j in range(networks) if j != i)}
        for i in range(networks)
    ]
    return sorted(rows, key=lambda row: row["score"], reverse=goal.direction == "maximize")


def table(report: Mapping[str, Any]) -> list[str]:
    """The report as text."""
    names = report["operations"]
    lines = ["Mean cosine of the gradients of a shared first operation", "", "by the operations of the second layer:"]
    lines.append(f"{'':<8}" + "".join(f"{name:>8}" for name in names))
    for name, row in zip(names, report["matrix"], strict=True):
        lines.append(f"{name:<8}" + "".join(f"{value:>8.3f}" for value in row))
    lines += ["", *(f"{name:<20}{value:>8.3f}" for name, value in report["kinds"].items())]
    lines += ["", "by the number of layers that differ:"]
    lines += [f"{number:<20}{value:>8.3f}" for number, value in report["differences"].items()]
    lines += ["", "with the other chains, by the rank of a chain:"]
    lines += [f"{rank:<20}{row['cosine']:>8.3f}" for rank, row in enumerate(report["ranks"], start=1)]
    return lines
