"""Training goes on bit for bit where it stopped, and shards and processes add up to what one computes."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.losses.loss import Losses, Network, Step, TrainingError
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import State, Trainer, load_tensors, memory_errors, named_tensors
from autobert_hf.records.tensor_files import read_tensors

from ...conftest import new_model
from .together import together


RECIPE = Recipe(8, learning_rate=5e-3, warmup=0.2, decay=0.5)


@pytest.fixture
def batch(batches: MaskedBatches) -> Callable[[int], Batch]:
    return lambda step: batches.batch("test", step=step)


class Tilted(MaskedWords):
    """A loss with a parameter and a buffer of its own, which learn too."""

    def __init__(self, student: AutoBertConfig) -> None:
        super().__init__(student)
        self.scale = nn.Parameter(torch.tensor([1.5]))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch: Batch, items: dict[str, int], step: Step) -> Losses:
        self.seen += len(batch["input_ids"])
        losses = super().forward(batch, items, step)

        def tilted(network: Network) -> dict[str, torch.Tensor]:
            return {"mlm": losses(network)["mlm"] * self.scale.square().sum()}

        return tilted


def trainer_of(
    model: AutoBertForMaskedLM,
    team: Team,
    recipe: Recipe = RECIPE,
    loss: MaskedWords | None = None,
    states: Sequence[State] = (),
    seed: int = 0,
) -> Trainer:
    return Trainer(model, loss or MaskedWords(model.config), lambda step, shard: [model], recipe, team, states, seed)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], atol: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=atol, rtol=1e-4)


def test_the_rate_is_what_the_optimizer_gets(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    trainer = trainer_of(model, team)
    seen = []
    trainer.run(
        batch, on_step=lambda step, loss: seen.append([group["lr"] for group in trainer.optimizer.param_groups])
    )
    assert seen == [[RECIPE.rate(step)] * 2 for step in range(8)]


def test_training_learns(
    model: AutoBertForMaskedLM, batches: MaskedBatches, batch: Callable[[int], Batch], team: Team
) -> None:
    held_out = HeldOut(MaskedWords(model.config), batches.held_out(32), team)
    before = held_out(model.eval())
    trainer_of(model, team, Recipe(150, 1e-2)).run(batch)
    assert model.training
    assert before == pytest.approx(math.log(60), abs=0.2)
    assert held_out(model.eval()) < before - 0.5


class Counter:
    """A state that knows how far the training is."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def after_step(self, step: int) -> None:
        self.steps.append(step)

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = list(state["steps"])


@pytest.mark.parametrize("stop", [1, 5])
def test_a_checkpoint_continues_bit_for_bit(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    batch: Callable[[int], Batch],
    team: Team,
    tmp_path: Path,
    stop: int,
) -> None:
    """Weights, moments, the loss's own parameter and buffer, what a state remembers, and buffers of the network."""
    for network in (model, other_model):
        network.autobert.embeddings.requires_grad_(False)  # nothing trains it: a parameter without moments
        network.register_buffer("average", torch.full((3,), float(network is model)))
    start = weights(model)
    whole = trainer_of(model, team, loss=Tilted(model.config), states=[Counter()])
    whole.run(batch)
    whole.save(tmp_path / "whole")
    assert sum(not torch.equal(p, start[name]) for name, p in model.named_parameters()) > 20

    model.load_state_dict(start, strict=False)
    first = trainer_of(model, team, loss=Tilted(model.config), states=[Counter()])
    first.run(batch, until=stop)
    first.save(tmp_path / "half", curve="[1]")

    second = trainer_of(other_model, team, loss=Tilted(model.config), states=[Counter()])
    metadata = second.load(tmp_path / "half")
    states = json.dumps([{"steps": list(range(1, stop + 1))}])
    assert metadata == {"step": str(stop), "steps": "8", "states": states, "curve": "[1]"}
    second.run(batch)
    second.save(tmp_path / "resumed")
    (ours, our_step), (theirs, their_step) = (read_tensors(tmp_path / name) for name in ("resumed", "whole"))
    assert our_step == their_step == {"step": "8", "steps": "8", "states": json.dumps([{"steps": [*range(1, 9)]}])}
    assert any(name.startswith("optimizer.") for name in ours)
    assert ours["loss.scale"].item() != 1.5
    assert ours["loss.seen"].item() == 8 * 8
    assert ours["model.average"].tolist() == [1.0] * 3
    assert_equal(ours, theirs)


def test_moments_matter(
    model: AutoBertForMaskedLM, other_model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    """The test above would fail if a checkpoint held the weights alone."""
    trainer = trainer_of(model, team)
    trainer.run(batch, until=5)
    other_model.load_state_dict(model.state_dict())
    without = trainer_of(other_model, team)
    without.step = 5
    trainer.run(batch)
    without.run(batch)
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), other_model.parameters(), strict=True))


def test_what_a_training_leaves_goes_into_network_and_loss(
    model: AutoBertForMaskedLM, other_model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    trainer = trainer_of(model, team, loss=Tilted(model.config))
    trainer.run(batch, until=2)
    other_loss = Tilted(model.config)
    load_tensors(trainer.tensors() | {"optimizer.0.step": torch.ones(())}, other_model, other_loss)
    assert_equal(weights(other_model), weights(model))
    assert_equal(named_tensors(other_loss), named_tensors(trainer.loss))
    tied = {name for name in trainer.tensors() if "decoder.weight" in name}
    assert not tied, "a tied parameter is written once"


@pytest.mark.parametrize("shards", [2, 3, 5])
def test_shards_add_up_to_the_whole_batch(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team, shards: int
) -> None:
    """Seven rows: the shards have unlike numbers of rows and of labelled tokens."""
    rows = {name: tensor[:7] for name, tensor in batch(0).items()}
    values, found = [], []
    for number in (1, shards):
        model.zero_grad()
        values.append(trainer_of(model, team, Recipe(1, shards=number)).differentiate(rows))
        found.append(gradients(model))
    assert values[1] == pytest.approx(values[0], rel=1e-5)
    assert_close(*found)


def test_a_batch_with_fewer_rows_than_shards_is_cut_into_rows(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    """With several processes some of them have nothing to do."""
    rows = {name: tensor[:2] for name, tensor in batch(0).items()}
    whole = trainer_of(model, team, Recipe(1)).differentiate(rows)
    assert trainer_of(model, team, Recipe(1, shards=5)).differentiate(rows) == pytest.approx(whole, rel=1e-5)
    models = [new_model(AutoBertConfig.from_dict(model.config.to_dict())) for _ in range(3)]
    found = together(3, lambda own: trainer_of(models[own.rank], own, Recipe(1, shards=3)).differentiate(rows))
    assert found == pytest.approx([whole] * 3, rel=1e-5)


@pytest.mark.parametrize("processes", [2, 3])
def test_any_number_of_processes_trains_the_same_network(
    config: AutoBertConfig, batch: Callable[[int], Batch], team: Team, processes: int
) -> None:
    """One process with so many shards is what several processes are; the loss's own parameter learns as well."""
    recipe = Recipe(3, learning_rate=5e-3, shards=3)
    made = [batch(step) for step in range(3)]  # each process makes its own, but threads would share the generator

    def work(team: Team) -> tuple[dict[str, torch.Tensor], list[float], float]:
        model = models[team.rank]
        loss = Tilted(model.config)
        trainer, values = trainer_of(model, team, recipe, loss), []
        trainer.differentiate(made[0])
        found = gradients(model) | gradients(loss)
        model.zero_grad()
        loss.zero_grad()
        trainer.run(made.__getitem__, on_step=lambda step, value: values.append(value))
        return found, values, loss.scale.item()

    models = [new_model(config)]
    first, values, scale = work(team)
    models = [new_model(AutoBertConfig.from_dict(config.to_dict())) for _ in range(processes)]
    results = together(processes, work)
    assert scale != 1.5
    for theirs, their_values, their_scale in results:
        assert_close(theirs, first)
        # Adam makes a whole step of the rounding error where a gradient is 0, as that of a key's bias.
        assert their_values == pytest.approx(values, rel=1e-3)
        assert their_scale == pytest.approx(scale, rel=1e-3)
    assert_equal(weights(models[0]), weights(models[1]))


def test_more_processes_than_shards_are_refused(model: AutoBertForMaskedLM) -> None:
    with pytest.raises(ValueError, match="cut into 1 shards, but there are 2 processes: give --shards 2, and"):
        together(2, lambda team: trainer_of(model, team, Recipe(1)))
    together(2, lambda team: trainer_of(model, team.alone(), Recipe(1)))


@pytest.mark.parametrize(("over", "weight"), [("mean", 0.5), ("sum", 1.0)])
def test_several_networks_of_a_step_are_averaged_or_added(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team, over: Any, weight: float
) -> None:
    """Each is a network of its own on the trained weights; which ones depends on step and shard."""
    asked = []

    class Scaled:
        config = model.config

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, **batch: Any) -> Any:
            out = model(**batch)
            out.loss = out.loss * self.factor
            return out

    def networks(step: int, shard: int) -> list[Network]:
        asked.append((step, shard))
        return [Scaled(1.0), Scaled(3.0)]

    loss = MaskedWords(model.config)
    one = Trainer(model, loss, lambda step, shard: [model], Recipe(1, shards=2), team).differentiate(batch(0))
    expected = {name: 4 * weight * gradient for name, gradient in gradients(model).items()}
    model.zero_grad()
    two = Trainer(model, loss, networks, Recipe(1, shards=2, over_networks=over), team).differentiate(batch(0))
    assert asked == [(0, 0), (0, 1)]
    assert two == pytest.approx(4 * weight * one, rel=1e-5)
    assert_close(gradients(model), expected)


def test_a_loss_is_told_step_shard_and_seed(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    seen = []

    class Watched(MaskedWords):
        def forward(self, batch: Batch, items: dict[str, int], step: Step) -> Losses:
            seen.append(step)
            return super().forward(batch, items, step)

    trainer_of(model, team, Recipe(2, shards=2), Watched(model.config), seed=7).run(batch)
    assert seen == [Step(0, 0, 7), Step(0, 1, 7), Step(1, 0, 7), Step(1, 1, 7)]


def test_what_no_batch_uses_stays_as_it_is(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    """No weight decay where there is no gradient: the idle branches of a supernet must not shrink."""
    idle = nn.Parameter(torch.ones(3, 3))
    model.register_parameter("idle", idle)
    trainer_of(model, team).run(batch)
    assert idle.eq(1).all()


def test_gradients_of_a_training_that_failed_are_forgotten(
    model: AutoBertForMaskedLM, other_model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    """Those of the network and those of the loss, which a search uses again for every candidate."""
    other_model.load_state_dict(model.state_dict())
    losses = [Tilted(model.config), Tilted(model.config)]
    for parameter in [*other_model.parameters(), losses[1].scale]:
        parameter.grad = torch.ones_like(parameter)
    for network, loss in zip((model, other_model), losses, strict=True):
        trainer_of(network, team, loss=loss).run(batch, until=2)
    assert_equal(weights(model), weights(other_model))
    assert_equal(weights(losses[0]), weights(losses[1]))


def test_a_loss_that_is_no_number_ends_training_before_it_spreads(
    model: AutoBertForMaskedLM, batch: Callable[[int], Batch], team: Team
) -> None:
    trainer = trainer_of(model, team)
    trainer.run(batch, until=2)
    with torch.no_grad():
        model.predictions.decoder.bias[7] = math.inf
    before = weights(model)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 2: lower the learning rate"):
        trainer.run(batch)
    assert_equal(weights(model), before)
    assert trainer.step == 2


def test_weight_decay_spares_biases_and_norms(model: AutoBertForMaskedLM, team: Team) -> None:
    loss = Tilted(model.config)
    decayed, plain = trainer_of(model, team, loss=loss).optimizer.param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in plain["params"]} == {1}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.01, 0.0)
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters())) + 1
    assert any(p is loss.scale for p in plain["params"])


def test_memory_that_is_used_up_is_one_exception() -> None:
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**52)
    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors():
        torch.ones(2) + torch.ones(3)
