"""Extraction is exact, and what the best child learned survives write-back and extraction."""

from random import Random

import pytest
import torch
from accelerate import Accelerator

from autobert_hf.lab.training.trainer import Recipe, evaluate
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.supernets.branched import Supernet, centre


def shake(supernet: Supernet) -> None:
    """Weights far from their initial values, so that a lost or misplaced one shows."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in supernet.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


@pytest.mark.parametrize("number", range(12))
def test_extraction_equals_the_active_supernet(supernet, space, number):
    shake(supernet)
    architecture = space.sample(Random(number))
    ids = torch.randint(5, 60, (3, 20), generator=torch.Generator().manual_seed(number))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    supernet.activate(architecture)
    supernet.model.eval()
    with torch.no_grad():
        inside = supernet.model(ids, attention_mask=mask).logits
        outside = supernet.extract(architecture)(ids, attention_mask=mask).logits
    real = mask.bool()
    assert inside[real].std() > 0.1
    torch.testing.assert_close(outside[real], inside[real], atol=1e-5, rtol=1e-5)


def test_extracted_networks_are_ordinary(supernet, space, tmp_path):
    model = supernet.extract(space.sample(Random(3)))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(again(ids).logits, model(ids).logits)


def test_write_back_restores_a_child_in_another_supernet(supernet, space, base):
    shake(supernet)
    architecture = space.sample(Random(5))
    supernet.activate(architecture)
    state = {name: view.detach().clone() for name, view in supernet.active_parameters().items()}
    other = Supernet(space, base, seed=99)
    other.write(architecture, state)
    ids = torch.arange(5, 25)[None]
    torch.testing.assert_close(other.extract(architecture)(ids).logits, supernet.extract(architecture)(ids).logits)


def test_write_back_stores_the_centre_and_the_matrix_never_the_transformed_kernel(supernet, space):
    architecture = space.of_kernels(7)
    supernet.activate(architecture)
    conv = supernet.model.autobert.encoder.layers[0].convolution.conv
    with torch.no_grad():
        conv.transforms["7"].copy_(2 * torch.eye(7))
    before = centre(conv.weight, 7).clone()
    state = {name: view.detach().clone() for name, view in supernet.active_parameters().items()}
    supernet.write(architecture, state)
    torch.testing.assert_close(centre(conv.weight, 7), before)
    extracted = supernet.extract(architecture).autobert.encoder.layers[0].mixer.conv.weight
    torch.testing.assert_close(extracted, 2 * before)


def test_an_unused_branch_and_the_outer_taps_stay_as_they_are(supernet, space):
    before = {name: p.detach().clone() for name, p in supernet.model.named_parameters()}
    architecture = space.of_kernels(3)
    supernet.activate(architecture)
    state = {name: view.detach() + 1 for name, view in supernet.active_parameters().items()}
    supernet.write(architecture, state)
    for name, parameter in supernet.model.named_parameters():
        if ".mixer." in name or (".transforms." in name and not name.endswith(".3")):
            assert torch.equal(parameter, before[name]), name
        if name.endswith("convolution.conv.weight"):
            changed = (parameter - before[name]).abs() > 0.5
            assert changed.sum(-1).eq(3).all()


def test_the_best_childs_gain_survives_the_round(supernet, space, batches, tmp_path):
    accelerator = Accelerator(cpu=True)
    held_out = batches.held_out(16)
    biws = Biws(supernet, batches, held_out, Recipe(12, 3e-3), accelerator, tmp_path)
    biws.save_round(0, 0, 0)
    biws.start_round(0)
    trials = []
    for number in range(4):
        architecture = space.sample(Random(number))
        scores, cost = biws.evaluate(number, architecture)
        trials.append(Trial(number, Proposal(architecture), 0, scores, cost))
    ranked = sorted(trials, key=lambda t: t.scores["loss"])
    before = evaluate(supernet_at(supernet, biws, 0, ranked[0]), held_out, accelerator)
    biws.end_round(0, ranked[:3], journal_lines=4)
    after = evaluate(supernet_at(supernet, biws, 1, ranked[0]), held_out, accelerator)
    assert after == pytest.approx(ranked[0].scores["loss"], abs=1e-5)
    assert after < before - 0.05
    assert not biws.round_file(0).exists()


def supernet_at(supernet: Supernet, biws: Biws, number: int, trial: Trial) -> torch.nn.Module:
    biws.start_round(number)
    supernet.model.load_state_dict(biws.weights, strict=False)
    return supernet.extract(trial.architecture)


def test_children_of_a_round_do_not_see_each_other(supernet, space, batches, tmp_path):
    biws = Biws(supernet, batches, batches.held_out(8), Recipe(3, 1e-3), Accelerator(cpu=True), tmp_path)
    biws.save_round(0, 0, 0)
    biws.start_round(0)
    architectures = [space.sample(Random(number)) for number in range(3)]
    forward = [biws.evaluate(i, a)[0]["loss"] for i, a in enumerate(architectures)]
    backward = [biws.evaluate(i, a)[0]["loss"] for i, a in reversed(list(enumerate(architectures)))]
    assert forward == backward[::-1]
