"""
Every loss, supernet, policy and evaluator once on fake tensors of a GPU. They have a device and a shape but no values,
so that a tensor that was left on the CPU shows without a card.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from autobert_hf.lab.data.batches import Stream
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.policies import POLICIES
from autobert_hf.searchers.supernets import SlicedSupernet, sampled
from autobert_hf.searchers.supernets.layer_choice import choose_layers

from . import test_evaluators, test_policies, test_supernets
from .world import HEADS_KEPT, World


pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason="fake tensors of a GPU need a build of torch for CUDA; this one is for the CPU"
)
GPU = torch.device("cuda", 0)


def moved(module: nn.Module, *where: object, **options: object) -> nn.Module:
    """In the place of `Module.to`, which cannot exchange fake tensors where weights are tied."""
    known: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.device != GPU:
                    fake = torch.empty_like(tensor, device=GPU)
                    is_parameter = isinstance(tensor, nn.Parameter)
                    known.setdefault(id(tensor), nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake)
                    tensors[name] = known[id(tensor)]
    return module


def everything(tensor: torch.Tensor, key: Any, take: Any = torch.Tensor.__getitem__) -> torch.Tensor:
    """In the place of `tensor[key]`: a mask keeps everything, as nobody knows how much it would keep."""
    if isinstance(key, torch.Tensor) and key.dtype == torch.bool:
        assert key.device == tensor.device
        return tensor.flatten(0, key.ndim - 1)
    return take(tensor, key)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[World]:
    """The small world on a GPU; values that a computation asks for are 1, and nothing runs backward."""
    batches = {rows: world.batch(rows) for rows in ("packed", "pairs", "texts")}
    teacher = copy.deepcopy(world.teacher.model)
    monkeypatch.setattr(World, "batch", lambda world, rows: batches[rows])
    monkeypatch.setattr(Stream, "__call__", lambda stream, step: batches["packed"])
    monkeypatch.setattr(Accelerator, "device", GPU)
    monkeypatch.setattr(world, "team", Team(world.team.accelerator))
    monkeypatch.setattr(world.teacher, "device", GPU)
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(Team, "backward", lambda team, loss: None)  # torch's engine asks the driver
    for name in ("item", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor: 1)
    monkeypatch.setattr(torch.Tensor, "__getitem__", everything)
    shapes = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True):
        monkeypatch.setattr(world.teacher, "model", moved(teacher))
        yield world


@pytest.mark.parametrize("name", LOSSES)
def test_losses(gpu: World, name: str) -> None:
    loss = gpu.loss(name)
    network = gpu.network(loss)
    trainer = Trainer(network, loss, lambda step, shard: [network], Recipe(2, shards=2), gpu.team)
    trainer.run(lambda step: gpu.batch(loss.rows))
    assert {p.device for p in network.parameters()} == {GPU}
    batch = gpu.team.to_device(gpu.batch(loss.rows))
    loss.fit([network], [batch])
    assert {tensor.device for tensor in loss.state_dict().values()} <= {GPU}
    assert loss.score(batch)(network)


SUPERNET_CASES = {name: make for name, make in test_supernets.CASES.items() if "pairs" not in name}


@pytest.mark.parametrize("name", SUPERNET_CASES)
def test_supernets_and_extracted_networks(gpu: World, name: str) -> None:
    supernet = SUPERNET_CASES[name]()
    moved(supernet.module)
    batch = gpu.team.to_device({"input_ids": torch.ones(2, 9, dtype=torch.long)})
    for seed in range(8):
        architecture = supernet.space.sample(Random(seed))
        for network in (supernet.network(architecture), supernet.network(architecture, training=False)):
            assert network(**batch)[0].device == GPU
        assert {tensor.device for tensor in supernet.views(architecture).values()} == {GPU}
        extracted = supernet.extract(architecture).to(GPU)
        assert extracted(**batch)[0].device == GPU


def test_the_start_from_a_teacher(gpu: World) -> None:
    """Units in the order of their use, and the layers of shallower networks."""
    loss = gpu.loss("relations")
    supernet = SlicedSupernet(HEADS_KEPT, moved(gpu.network(loss)))
    batch = gpu.team.to_device(gpu.batch(loss.rows))
    order_by_use(supernet.module.eval(), [batch])
    choose_layers(supernet.sliceable, HeldOut(loss, [batch], gpu.team))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_without_a_training(gpu: World, name: str) -> None:
    """As `select` judges baselines: the parameters of the loss are read from a file."""
    loss = gpu.loss(name)
    network = moved(gpu.network(loss))
    assert HeldOut(loss, [gpu.batch(loss.rows)], gpu.team)(network)


SUPERNET_OF = {"single-path": "branched", "batch-wise": "sliced"}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_train_a_supernet(gpu: World, name: str) -> None:
    policy = test_policies.CASES[name][0](3)
    supernet = test_supernets.CASES[SUPERNET_OF.get(name, "choice")]()
    loss = LOSSES["mlm"](supernet.module.config)
    trainer = Trainer(supernet.module, loss, sampled(supernet, policy), Recipe(4, shards=2), gpu.team, [policy])
    trainer.run(lambda step: gpu.batch("packed"))
    assert {tensor.device for tensor in trainer.tensors().values()} == {GPU}


@pytest.mark.parametrize("name", [name for name in test_evaluators.CASES if name != "function"])
def test_evaluators_judge(gpu: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make, space, _ = test_evaluators.CASES[name]
    # No file holds what has no values.
    monkeypatch.setattr("autobert_hf.searchers.evaluators.biws.write_tensors", lambda path, tensors, **more: None)
    monkeypatch.setattr(Biws, "restore", lambda biws: None)
    monkeypatch.setattr(Biws, "begun", lambda biws: True)
    evaluator: Evaluator = make(gpu, tmp_path)
    if name == "supernet-loss":  # its supernet is trained or loaded before
        moved(evaluator.supernet.module)
    if name == "biws":  # `analyze ranking` asks before anything is trained
        assert evaluator.untouched_loss(space.sample(Random(9)))
    for seed in range(4):
        scores, _ = evaluator.evaluate(seed, space.sample(Random(seed)), lambda step, scores: True)
        assert scores["loss"]
