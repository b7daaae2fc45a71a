"""Bi-branch weight sharing where candidates fail, and what stays on the disk."""

from pathlib import Path
from random import Random

import pytest
import torch
from torch import nn

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.journal import JournalError
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.tensor_files import read_tensors
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets.branched import BranchedSupernet

from ..conftest import begin


class Weighted(MaskedWords):
    """A loss with a parameter of its own, which training moves."""

    def __init__(self, student) -> None:
        super().__init__(student)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, batch, items, step):
        losses = super().forward(batch, items, step)
        return lambda network: {"mlm": losses(network)["mlm"] * self.weight}


@pytest.fixture
def loss(base) -> Weighted:
    return Weighted(base)


@pytest.fixture
def biws(supernet: BranchedSupernet, loss: Weighted, text: Text, team: Team, tmp_path: Path) -> Biws:
    return begin(Biws(supernet, loss, text, Recipe(3, 3e-3), team, tmp_path / "supernet"), tokens=1000)


def files(biws: Biws) -> list[str]:
    return sorted(path.name for path in biws.folder.iterdir())


def trial(biws: Biws, space: AutoBertZeroSpace, number: int) -> Trial:
    architecture = space.sample(Random(number))
    scores, cost = biws.evaluate(number, architecture, lambda step, scores: True)
    return Trial(number, Proposal(architecture), 0, scores, cost, weights=biws.weights())


def test_costs_and_scores_are_complete(biws: Biws, space: AutoBertZeroSpace) -> None:
    found = trial(biws, space, 0)
    assert set(found.scores) == {"loss"}
    assert set(biws.known(found.architecture)) == {"parameters", "flops"}
    assert found.cost["inherited_tokens"] == 1000
    assert found.cost["tokens"] == 3 * 8 * 24
    assert found.weights == "round 0"
    assert files(biws) == ["child-000000.safetensors", "round-0000.safetensors"]


def test_parameters_of_the_loss_start_anew_with_every_child(biws: Biws, space: AutoBertZeroSpace) -> None:
    first = trial(biws, space, 0).scores["loss"]
    assert biws.loss.weight != 1, "it was not trained"
    assert trial(biws, space, 0).scores["loss"] == first
    biws.end_round(0, [trial(biws, space, 0)], digest="1")
    assert read_tensors(biws.round_file(1))[0]["loss.weight"] == 1


@pytest.mark.parametrize("steps", [0, 3])
def test_a_candidate_without_a_number_leaves_nothing(biws: Biws, space: AutoBertZeroSpace, steps: int) -> None:
    """Whether the loss is lost in training or shows only on the held-out text."""
    biws.recipe = Recipe(steps, 3e-3)
    biws.tensors = {name: torch.full_like(weight, torch.nan) for name, weight in biws.tensors.items()}
    with pytest.raises(TrainingError, match="loss is nan"):
        trial(biws, space, 0)
    assert files(biws) == ["round-0000.safetensors"]


def test_a_candidate_that_dies_half_way_does_not_touch_the_next(
    biws: Biws, space: AutoBertZeroSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trial(biws, space, 1).scores["loss"]
    differentiate = Trainer.differentiate

    def out_of_memory(trainer: Trainer, batch: Batch) -> float:
        differentiate(trainer, batch)
        if trainer.step == 1:
            raise MemoryError
        return 1.0

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "differentiate", out_of_memory)
        with pytest.raises(MemoryError):
            trial(biws, space, 0)
    assert trial(biws, space, 1).scores["loss"] == expected


def test_the_end_of_a_round_counts_its_tokens_once_and_happens_once(biws: Biws, space: AutoBertZeroSpace) -> None:
    trials = [trial(biws, space, number) for number in range(3)]
    biws.end_round(0, trials[:2], digest="3")
    weights, metadata = read_tensors(biws.round_file(1))
    assert metadata == {"journal": "3", "tokens": str(1000 + 3 * 8 * 24), "version": "1"}
    biws.end_round(0, trials[1:], digest="3")
    assert all(torch.equal(weights[name], again) for name, again in read_tensors(biws.round_file(1))[0].items())
    assert not biws.round_file(0).exists()


def test_a_round_without_new_parents_hands_its_weights_on(biws: Biws, space: AutoBertZeroSpace) -> None:
    before, _ = read_tensors(biws.round_file(0))
    trial(biws, space, 0)
    biws.end_round(0, [], digest="1")
    after, metadata = read_tensors(biws.round_file(1))
    assert metadata["tokens"] == "1000"
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_best_child_has_the_last_word_and_others_what_it_leaves(biws: Biws, space: AutoBertZeroSpace) -> None:
    """Worst first: where both children trained a weight the best one's stands."""
    trials = [trial(biws, space, number) for number in range(2)]
    children = [read_tensors(biws.child_file(number))[0] for number in range(2)]
    biws.end_round(0, [trials[1], trials[0]], digest="2")
    after, _ = read_tensors(biws.round_file(1))
    name = "autobert.embeddings.word_embeddings.weight"
    assert torch.equal(after[f"model.{name}"], children[1][name])
    assert not torch.equal(children[0][name], children[1][name])
    only = [key for key in children[0] if key not in children[1] and "conv.weight" not in key]
    assert only
    assert all(torch.equal(after[f"model.{key}"], children[0][key]) for key in only)


def test_only_what_is_known_and_unwanted_goes(biws: Biws, space: AutoBertZeroSpace) -> None:
    """A child whose trial has no line yet may be another process's."""
    trials = [trial(biws, space, number) for number in range(4)]
    biws.release_except([trials[1]], known=3)
    assert files(biws) == ["child-000001.safetensors", "child-000003.safetensors", "round-0000.safetensors"]


def test_what_a_child_learned_can_be_had_later(biws: Biws, space: AutoBertZeroSpace) -> None:
    found = trial(biws, space, 0)
    trial(biws, space, 1)
    biws.inherit(found)
    assert biws.held_out(biws.supernet.extract(found.architecture)) == pytest.approx(found.scores["loss"], abs=1e-5)
    biws.release_except([], known=2)
    with pytest.raises(FileNotFoundError):
        biws.inherit(found)


def test_a_round_that_is_gone_is_named(biws: Biws) -> None:
    with pytest.raises(JournalError, match="holds no weights of round 7, which the journal has reached: restore both"):
        biws.start_round(7)


def test_further_candidates_leave_the_run_as_it_is(biws: Biws, space: AutoBertZeroSpace, tmp_path: Path) -> None:
    expected, folder = trial(biws, space, 0).scores, biws.folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    biws.go_on_in(tmp_path / "tool")
    assert trial(biws, space, 0).scores == expected
    biws.end_round(0, [trial(biws, space, 1)], digest="1")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_without_a_warm_up_there_is_nothing_to_go_on_from(biws: Biws, tmp_path: Path) -> None:
    biws.round_file(0).unlink()
    with pytest.raises(RunError, match="holds no warmed-up supernet: let the search go on first"):
        biws.go_on_in(tmp_path / "tool")
