"""Extraction is exact, networks of one step do not disturb each other, and what the best child learned survives."""

from random import Random
from typing import Any

import pytest
import torch

from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWordsAndPairs
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.supernets.branched import BranchedSupernet, centre

from ..conftest import begin


def shake(supernet: BranchedSupernet) -> None:
    """Weights far from their initial values, so that a lost or misplaced one shows."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in supernet.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def state_of(supernet, architecture):
    return {name: view.detach().clone() for name, view in supernet.views(architecture).items()}


@pytest.mark.parametrize("number", range(12))
def test_extraction_equals_the_network_in_the_supernet(supernet, space, number):
    shake(supernet)
    architecture = space.sample(Random(number))
    ids = torch.randint(5, 60, (3, 20), generator=torch.Generator().manual_seed(number))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    with torch.no_grad():
        inside = supernet.network(architecture, training=False)(input_ids=ids, attention_mask=mask).logits
        outside = supernet.extract(architecture)(ids, attention_mask=mask).logits
    real = mask.bool()
    assert inside[real].std() > 0.1
    torch.testing.assert_close(outside[real], inside[real], atol=1e-5, rtol=1e-5)


def test_its_attention_is_the_one_that_is_configured(space, base):
    """As in the models made of it: a layer with a copy of the configuration would silently take the slow one."""
    base._attn_implementation = "sdpa"
    supernet = BranchedSupernet(space, base, seed=0)
    assert {layer.attention.config._attn_implementation for layer in supernet.layers} == {"sdpa"}


def test_extracted_networks_are_ordinary(supernet, space, tmp_path):
    model = supernet.extract(space.sample(Random(3)))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(again(ids).logits, model(ids).logits)


def test_a_supernet_depends_on_its_seed_alone(space, base):
    torch.manual_seed(1)
    one = BranchedSupernet(space, base, seed=5).module.state_dict()
    torch.manual_seed(2)
    same, other = (BranchedSupernet(space, base, seed=seed).module.state_dict() for seed in (5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_networks_of_one_step_do_not_disturb_each_other(supernet, space, loss, batches, team):
    """Their gradients are those that each would leave by itself, whatever ran in between."""
    shake(supernet)
    architectures, wanted = [space.sample(Random(number)) for number in range(3)], {}
    batch = batches.batch("test", step=0)
    for architecture in architectures:
        supernet.module.zero_grad()
        losses_of = loss(batch, loss.items(batch), Step())
        losses_of(supernet.network(architecture))["mlm"].backward()
        for name, parameter in supernet.module.named_parameters():
            if parameter.grad is not None:
                wanted[name] = wanted.get(name, 0) + parameter.grad / 3
    networks = [supernet.network(architecture) for architecture in architectures]
    Trainer(supernet.module, loss, lambda step, shard: networks, Recipe(1), team).differentiate(batch)
    for name, parameter in supernet.module.named_parameters():
        assert (parameter.grad is None) == (name not in wanted), name
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-6, rtol=1e-4)


def test_a_student_and_its_anchor_run_in_one_step_each_in_its_own_mode(space, base):
    """Dropout acts in the one that trains, and never in the one that is asked."""
    base.hidden_dropout_prob = 0.5
    supernet = BranchedSupernet(space, base, seed=0)
    shake(supernet)
    ids = torch.arange(5, 25)[None]
    student, anchor = (supernet.network(space.sample(Random(number)), number == 0) for number in range(2))
    with torch.no_grad():
        alone = anchor(input_ids=ids).logits
        answers = [[network(input_ids=ids).logits for network in (student, anchor)] for _ in range(2)]
    assert not torch.equal(answers[0][0], answers[1][0])
    assert all(torch.equal(answer, alone) for _, answer in answers)


def test_write_back_restores_a_child_in_another_supernet(supernet, space, base):
    shake(supernet)
    architecture = space.sample(Random(5))
    other = BranchedSupernet(space, base, seed=99)
    other.write(architecture, state_of(supernet, architecture))
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(other.extract(architecture)(ids).logits, supernet.extract(architecture)(ids).logits)


def test_write_back_stores_the_centre_and_the_matrix_never_the_transformed_kernel(supernet, space):
    architecture = space.of_kernels(7)
    supernet.activate(architecture)
    conv = supernet.module.autobert.encoder.layers[0].convolution.conv
    with torch.no_grad():
        conv.transforms["7"].copy_(2 * torch.eye(7))
    before = centre(conv.weight, 7).clone()
    supernet.write(architecture, state_of(supernet, architecture))
    torch.testing.assert_close(centre(conv.weight, 7), before)
    extracted = supernet.extract(architecture).autobert.encoder.layers[0].mixer.conv.weight
    torch.testing.assert_close(extracted, 2 * before)


def test_an_unused_branch_and_the_outer_taps_stay_as_they_are(supernet, space):
    before = {name: p.detach().clone() for name, p in supernet.module.named_parameters()}
    architecture = space.of_kernels(3)
    supernet.write(architecture, {name: view + 1 for name, view in state_of(supernet, architecture).items()})
    for name, parameter in supernet.module.named_parameters():
        if ".mixer." in name or (".transforms." in name and not name.endswith(".3")):
            assert torch.equal(parameter, before[name]), name
        if name.endswith("convolution.conv.weight"):
            changed = (parameter - before[name]).abs() > 0.5
            assert changed.sum(-1).eq(3).all()


@pytest.fixture
def biws(supernet, loss, text, team, tmp_path):
    return begin(Biws(supernet, loss, text, Recipe(12, 3e-3), team, tmp_path))


def test_the_best_childs_gain_survives_the_round(biws, space, text, team, loss):
    held_out = HeldOut(loss, text.held_out, team)
    trials = []
    for number in range(4):
        architecture = space.sample(Random(number))
        scores, cost = biws.evaluate(number, architecture, lambda *report: True)
        trials.append(Trial(number, Proposal(architecture), 0, scores, cost))
    ranked = sorted(trials, key=lambda t: t.scores["loss"])
    before = held_out(extracted_in(biws, 0, ranked[0]))
    biws.end_round(0, ranked[:3], digest="4")
    after = held_out(extracted_in(biws, 1, ranked[0]))
    assert after == pytest.approx(ranked[0].scores["loss"], abs=1e-5)
    assert after < before - 0.05
    assert not biws.round_file(0).exists()


def extracted_in(biws: Biws, number: int, trial: Trial) -> Any:
    """The trial's network with the weights of a round."""
    biws.start_round(number)
    biws.restore()
    return biws.supernet.extract(trial.architecture)


def test_children_of_a_round_do_not_see_each_other(biws, space):
    biws.recipe = Recipe(3, 1e-3)
    asked = [(number, space.sample(Random(number)), lambda *report: True) for number in range(3)]
    forward = [biws.evaluate(*one)[0]["loss"] for one in asked]
    backward = [biws.evaluate(*one)[0]["loss"] for one in reversed(asked)]
    assert forward == backward[::-1]


def test_networks_have_the_head_that_the_loss_needs(space, base):
    supernet = BranchedSupernet(space, base, 0, MaskedWordsAndPairs.network)
    shake(supernet)
    architecture, ids = space.sample(Random(0)), torch.arange(5, 25)[None]
    model = supernet.extract(architecture)
    assert type(model) is MaskedWordsAndPairs.head
    with torch.no_grad():
        inside = supernet.network(architecture, training=False)(input_ids=ids).seq_relationship_logits
        torch.testing.assert_close(model(ids).seq_relationship_logits, inside, atol=1e-5, rtol=1e-5)
