"""Bi-branch weight sharing where candidates fail, and what stays on the disk."""

from pathlib import Path
from random import Random

import pytest
import torch
from accelerate import Accelerator

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training.trainer import Recipe, Trainer, TrainingError
from autobert_hf.records.files import read_tensors
from autobert_hf.records.journal import JournalError
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets.branched import Supernet


@pytest.fixture
def biws(supernet: Supernet, batches: MaskedBatches, tmp_path: Path) -> Biws:
    recipe = Recipe(3, 3e-3)
    biws = Biws(supernet, batches, batches.held_out(16), recipe, Accelerator(cpu=True, mixed_precision="no"), tmp_path)
    biws.save_round(0, 0, seen_tokens=1000)
    biws.start_round(0)
    return biws


def files(biws: Biws) -> list[str]:
    return sorted(path.name for path in biws.folder.iterdir())


def trial(biws: Biws, space: AutoBertZeroSpace, number: int) -> Trial:
    architecture = space.sample(Random(number))
    return Trial(number, Proposal(architecture), 0, *biws.evaluate(number, architecture))


def test_costs_and_scores_are_complete(biws: Biws, space: AutoBertZeroSpace) -> None:
    found = trial(biws, space, 0)
    assert set(found.scores) == {"loss", "parameters", "flops"}
    assert found.cost["inherited_tokens"] == 1000
    assert found.cost["tokens"] == 3 * 8 * 24
    assert files(biws) == ["child-000000.safetensors", "round-0000.safetensors"]


def test_a_supernet_depends_on_its_seed_alone(space: AutoBertZeroSpace, base: AutoBertConfig) -> None:
    torch.manual_seed(1)
    one = Supernet(space, base, seed=5).model.state_dict()
    torch.manual_seed(2)
    same, other = (Supernet(space, base, seed=seed).model.state_dict() for seed in (5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_candidate_without_a_number_leaves_nothing(biws: Biws, space: AutoBertZeroSpace, steps: int) -> None:
    """Whether the loss is lost in training or shows only on the held-out text."""
    biws.recipe = Recipe(steps, 3e-3)
    biws.weights = {name: torch.full_like(weight, torch.nan) for name, weight in biws.weights.items()}
    with pytest.raises(TrainingError, match="loss is nan"):
        trial(biws, space, 0)
    assert files(biws) == ["round-0000.safetensors"]


def test_a_candidate_that_dies_half_way_does_not_touch_the_next(
    biws: Biws, space: AutoBertZeroSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trial(biws, space, 1).scores["loss"]
    differentiate = Trainer.differentiate

    def out_of_memory(trainer: Trainer, batch: dict[str, torch.Tensor]) -> float:
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
    biws.end_round(0, trials[:2], journal_lines=3)
    weights, metadata = read_tensors(biws.round_file(1))
    assert metadata == {"journal_lines": "3", "seen_tokens": str(1000 + 3 * 8 * 24)}
    biws.end_round(0, trials[1:], journal_lines=3)
    assert all(torch.equal(weights[name], again) for name, again in read_tensors(biws.round_file(1))[0].items())
    assert not biws.round_file(0).exists()


def test_a_round_without_new_parents_hands_its_weights_on(biws: Biws, space: AutoBertZeroSpace) -> None:
    before, _ = read_tensors(biws.round_file(0))
    trial(biws, space, 0)
    biws.end_round(0, [], journal_lines=1)
    after, metadata = read_tensors(biws.round_file(1))
    assert metadata["seen_tokens"] == "1000"
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_best_child_has_the_last_word_and_others_what_it_leaves(biws: Biws, space: AutoBertZeroSpace) -> None:
    """Worst first: where both children trained a weight the best one's stands."""
    trials = [trial(biws, space, number) for number in range(2)]
    children = [read_tensors(biws.child_file(number))[0] for number in range(2)]
    biws.end_round(0, [trials[1], trials[0]], journal_lines=2)
    after, _ = read_tensors(biws.round_file(1))
    name = "autobert.embeddings.word_embeddings.weight"
    assert torch.equal(after[name], children[1][name])
    assert not torch.equal(children[0][name], children[1][name])
    only = [key for key in children[0] if key not in children[1] and "conv.weight" not in key]
    assert only
    assert all(torch.equal(after[key], children[0][key]) for key in only)


def test_only_what_is_known_and_unwanted_goes(biws: Biws, space: AutoBertZeroSpace) -> None:
    """A child whose trial has no line yet may be another process's."""
    trials = [trial(biws, space, number) for number in range(4)]
    biws.keep([trials[1]], known=3)
    assert files(biws) == ["child-000001.safetensors", "child-000003.safetensors", "round-0000.safetensors"]


def test_a_round_that_is_gone_is_named(biws: Biws) -> None:
    with pytest.raises(JournalError, match="holds no weights of round 7, where the journal stands: restore both"):
        biws.start_round(7)
