"""Losses against a teacher: what padding does to them (nothing), who learns, where the map starts, the floor."""

import math

import pytest
import torch
from torch.nn.functional import linear
from transformers import BertTokenizer, DistilBertConfig, DistilBertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.linear_floor import linear_floor
from autobert_hf.lab.distilling.signals import DistillationError
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.distillation import (
    Distillation,
    RelationsAndStates,
    ScoresAndStates,
    SentencesAndStates,
)
from autobert_hf.lab.losses.loss import Loss, Network, Step
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.convert import from_bert
from autobert_hf.modeling.slicing import Cut, LayerCut
from autobert_hf.modeling.subnetwork import Sliceable

from ..teaching import NO_DROPOUT, SIZES, batch


KINDS = pytest.mark.parametrize("kind", [ScoresAndStates, RelationsAndStates, SentencesAndStates])


def value(loss: Loss, rows: Batch, network: Network) -> torch.Tensor:
    return torch.stack([*loss(rows, loss.items(rows), Step())(network).values()]).sum()


class StatesAlone(Distillation):
    terms = {"relative_hidden": 1.0}
    reads_attention = False


@KINDS
def test_the_teacher_has_nothing_to_learn_from_itself(teacher: Teacher, kind: type[Distillation]) -> None:
    same = from_bert(teacher.model)
    assert value(kind(same.config, teacher), batch(), same).item() < 1e-6


@KINDS
def test_padding_changes_nothing(teacher: Teacher, student: AutoBertModel, kind: type[Distillation]) -> None:
    loss = kind(student.config, teacher)
    values = [value(loss, rows, student) for rows in (batch(), batch(tokens=14))]
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=1e-5)
    alone = {name: tensor[:1] for name, tensor in batch().items()}
    without = {"input_ids": alone["input_ids"]}
    torch.testing.assert_close(value(loss, alone, student), value(loss, without, student), atol=1e-5, rtol=1e-5)


@KINDS
def test_only_student_and_map_learn(teacher: Teacher, student: AutoBertModel, kind: type[Distillation]) -> None:
    loss = kind(student.config, teacher)
    assert {name for name, _ in loss.named_parameters()} == {"map.weight", "map.bias"}
    value(loss, batch(), student).backward()
    assert all(parameter.grad is None for parameter in teacher.model.parameters())
    assert all(parameter.grad is not None for parameter in loss.parameters())
    assert student.encoder.layers[0].mixer.query.weight.grad.abs().sum() > 0


@KINDS
def test_a_student_learns_in_training(
    teacher: Teacher, student: AutoBertModel, texts: Text, team: Team, kind: type[Distillation]
) -> None:
    loss = kind(student.config, teacher)
    held_out = HeldOut(loss, texts.held_out, team)
    before = held_out(student.eval())
    Trainer(student, loss, lambda step, shard: [student], Recipe(40, 1e-2, shards=2), team).run(texts.stream("test"))
    assert held_out(student.eval()) < 0.7 * before


def test_sub_networks_use_the_first_columns_of_the_map(teacher: Teacher, student: AutoBertModel) -> None:
    loss, whole = ScoresAndStates(student.config, teacher), Sliceable(student)
    cut = Cut(9, 9, (LayerCut(1, 4, 3, 20),))
    torch.testing.assert_close(
        value(loss, batch(), whole.part(cut)), value(loss, batch(), whole.extract(cut)), atol=1e-6, rtol=1e-6
    )
    loss.zero_grad()
    value(loss, batch(), whole.part(cut)).backward()
    gradient = loss.map.weight.grad
    assert gradient[:, :9].abs().min() > 0 and gradient[:, 9:].abs().max() == 0


def test_a_fitted_map_is_the_best_there_is(teacher: Teacher, student: AutoBertModel) -> None:
    loss, batches = StatesAlone(student.config, teacher), [batch(seed) for seed in range(6)]

    def mean() -> float:
        with torch.no_grad():
            return torch.stack([value(loss, rows, student) for rows in batches]).mean().item()

    at_random = mean()
    loss.fit([student], batches)
    best = mean()
    assert best < 0.9 * at_random
    for parameter in loss.parameters():
        assert parameter.requires_grad and parameter.grad is None
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 0.02)
                assert mean() > best
                parameter.sub_(sign * 0.02)


def test_a_map_fitted_to_narrow_networks_leaves_the_other_columns(teacher: Teacher, student: AutoBertModel) -> None:
    loss = ScoresAndStates(student.config, teacher)
    before = loss.map.weight.detach().clone()
    part = Sliceable(student).part(Cut(9, 9, (LayerCut(1, 4, 3, 20),)))
    loss.fit([part], [batch(seed) for seed in range(6)])
    assert torch.equal(loss.map.weight[:, 9:], before[:, 9:])
    assert not torch.equal(loss.map.weight[:, :9], before[:, :9])


def test_a_map_is_fitted_to_all_of_the_networks(teacher: Teacher, student: AutoBertModel) -> None:
    """Of two that the map cannot serve alike, it serves neither best."""
    batches = [batch(seed) for seed in range(6)]
    other = from_bert(teacher.model)
    sliced = Sliceable(other).part(Cut(16, 16, (LayerCut(0, 4, 6, 32),)))
    errors = {}
    for name, networks in (("one", [student]), ("other", [sliced]), ("both", [student, sliced])):
        loss = StatesAlone(student.config, teacher)
        loss.fit(networks, batches)
        with torch.no_grad():
            errors[name] = [sum(value(loss, rows, n).item() for rows in batches) for n in (student, sliced)]
    assert errors["one"][0] < errors["both"][0] < errors["other"][0]
    assert errors["other"][1] < errors["both"][1] < errors["one"][1]


@KINDS
def test_the_floor_is_that_of_a_network_without_mixing(
    teacher: Teacher, student: AutoBertModel, texts: Text, kind: type[Distillation]
) -> None:
    found = kind(student.config, teacher).floors(texts)
    assert found == {"linear_floor": linear_floor(teacher.model, texts.fitting_batches("floor"), texts.held_out)}
    assert 0.01 < found["linear_floor"] < 1.1


def test_the_error_of_a_network_is_that_of_its_best_map(teacher: Teacher, student: AutoBertModel, texts: Text) -> None:
    """Over the teacher's variance, by hand; the map of the training stays as it is."""
    loss = ScoresAndStates(student.config, teacher)
    before = loss.map.weight.detach().clone()
    found = loss.error(student.train(), texts)
    assert not student.training and torch.equal(loss.map.weight, before)
    loss.fit([student], texts.fitting_batches("ridge"))
    with torch.no_grad():
        pairs = [
            (student(**rows).last_hidden_state[real], teacher.signals(rows).hidden[real])
            for rows in texts.held_out
            for real in [rows["attention_mask"].bool()]
        ]
    mapped = torch.cat([linear(hidden, loss.map.weight, loss.map.bias) for hidden, _ in pairs])
    wanted = torch.cat([hidden for _, hidden in pairs])
    expected = (mapped - wanted).square().mean() / wanted.var(0, correction=0).mean()
    assert found == pytest.approx(expected.item(), rel=1e-4)
    assert loss.error(from_bert(teacher.model), texts) < 1e-3


def test_other_encoders_can_teach(student: AutoBertModel, tokenizer: BertTokenizer, tmp_path) -> None:
    config = DistilBertConfig(vocab_size=60, dim=24, n_layers=1, n_heads=4, hidden_dim=32)
    DistilBertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loss = ScoresAndStates(student.config, Teacher(str(tmp_path), tokenizer, torch.device("cpu")))
    assert loss.map.weight.shape == (24, 16)
    found = value(loss, batch(), student)
    assert found.isfinite() and found > 0


def test_relation_heads_divide_those_of_both(teacher: Teacher) -> None:
    for heads, common in ((4, 4), (2, 2), (6, 2), (3, 1)):
        config = AutoBertConfig(**(SIZES | NO_DROPOUT | {"num_attention_heads": heads}))
        loss = RelationsAndStates(config, teacher)
        assert loss.relation_heads == common == math.gcd(heads, 4)
        assert value(loss, batch(), AutoBertModel(config)).isfinite()


def test_students_with_other_heads_cannot_learn_scores(teacher: Teacher) -> None:
    config = AutoBertConfig(**(SIZES | NO_DROPOUT | {"num_attention_heads": 3}))
    message = "The students have 3 heads, the teacher 4: give --num-attention-heads 4 or --loss relations"
    with pytest.raises(DistillationError, match=message):
        ScoresAndStates(config, teacher)
    RelationsAndStates(config, teacher)
    SentencesAndStates(config, teacher)


def test_what_has_no_attention_can_learn_states_alone(teacher: Teacher) -> None:
    skips = {index: {"skip": ["mixer"]} for index in (0, 1)}
    control = AutoBertModel(AutoBertConfig(**SIZES, **NO_DROPOUT, per_layer_config=skips))
    for kind in (ScoresAndStates, RelationsAndStates):
        with pytest.raises(DistillationError, match="The student's attention does not go through"):
            value(kind(control.config, teacher), batch(), control)
    assert value(SentencesAndStates(control.config, teacher), batch(), control).isfinite()
