"""The final training: the found network and its baselines alike, with a curve each and one report."""

import json

import pytest
import torch

from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers import curve

from ..conftest import new_model


RECIPE = Recipe(23, learning_rate=5e-3, decay=0.3)
PER_STEP = 8 * 24
TRIAL = Trial(7, Proposal(Architecture.of([])), 0, {"loss": 1.0})


@pytest.fixture
def models(config):
    return {"found": new_model(config), "bert": new_model(config, seed=1)}


def final(run, models, text, inherited=0, loss=MaskedWords):
    return run.final(TRIAL, models, lambda model: loss(model.config), RECIPE, text, inherited)


def steps_of(points, inherited=0):
    return [(tokens - inherited) // PER_STEP for tokens, _ in points]


def report(run):
    return json.loads((run.path / "report" / "training-000007.json").read_text())


def test_all_learn_the_same_and_the_report_says_what_came_out(run, models, text, team):
    found = final(run, models, text)
    assert (found.trial, found.models) == (TRIAL, models)
    for name, model in models.items():
        assert steps_of(found.curves[name]) == [2, 5, 7, 9, 12, 14, 16, 18, 21, 23]
        assert not model.training
        assert found.curves[name][-1][1] == HeldOut(MaskedWords(model.config), text.held_out, team)(model)
        assert found.curves[name][-1][1] < found.curves[name][0][1]
    said = report(run)
    assert said["curves"] == {name: [[*point] for point in points] for name, points in found.curves.items()}
    assert said["unit"] == "nats per masked token"
    assert said["parameters"] == {name: model.num_parameters() for name, model in models.items()}
    assert (said["floor"], said["inherited_tokens"], said["errors"]) == (3.9, 0, {})
    assert sorted(path.name for path in (run.path / "final").iterdir()) == [
        "bert-000007.safetensors",
        "found-000007.safetensors",
    ]


def test_milestones_count_inherited_tokens(run, models, text, monkeypatch):
    """Curves that began elsewhere meet at the same numbers of tokens; what lies outside the training is left out."""
    inherited = 10 * PER_STEP
    milestones = [PER_STEP, *(inherited + step * PER_STEP for step in (1, 3, 24))]
    monkeypatch.setattr(curve, "MILESTONES", milestones)
    curves = final(run, models, text, inherited).curves
    assert steps_of(curves["found"], inherited) == [1, 2, 3, 5, 7, 9, 12, 14, 16, 18, 21, 23]
    assert {1, 11, 13} <= set(steps_of(curves["bert"]))


def test_baselines_get_as_many_tokens_as_the_found_network_has_had(run, models, text):
    curves = final(run, models, text, inherited=10 * PER_STEP).curves
    assert [points[-1][0] for points in curves.values()] == [33 * PER_STEP] * 2
    assert report(run)["inherited_tokens"] == 10 * PER_STEP


def test_what_is_finished_is_taken_as_it_is(run, models, config, text, monkeypatch):
    found = final(run, models, text)
    before = report(run)
    others = {name: new_model(config, seed=2) for name in models}
    monkeypatch.setattr(Trainer, "update", lambda trainer, batch: pytest.fail("trained again"))
    assert final(run, others, text).curves == found.curves
    assert report(run) == before
    for name, model in models.items():
        theirs = others[name].state_dict()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in model.state_dict().items())


def test_a_loss_with_an_error_of_its_own_has_it_in_the_report(run, models, text):
    class WithError(MaskedWords):
        def floors(self, text):
            return {"linear_floor": 0.5}

        def error(self, network, text):
            return float(network.config.hidden_size)

    final(run, models, text, loss=WithError)
    said = report(run)
    assert said["errors"] == {"found": 16.0, "bert": 16.0}
    assert said["linear_floor"] == 0.5 and "floor" not in said


def test_draws_of_the_loss_follow_from_the_seed_of_the_run(run, models, text):
    seeds = set()

    class Watched(MaskedWords):
        def forward(self, batch, items, step):
            seeds.add(step.seed)
            return super().forward(batch, items, step)

    final(type(run)(run.path, 5, run.team), models, text, loss=Watched)
    assert 5 in seeds
