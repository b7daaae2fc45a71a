"""A final training that is killed and continued leaves the weights and the curve of one that is not."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from autobert_hf import AutoBertForMaskedLM
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.training import final
from autobert_hf.lab.training.final import train_and_record
from autobert_hf.lab.training.trainer import Clock, Recipe, Trainer, evaluate


RECIPE = Recipe(23, learning_rate=5e-3, decay=0.3)


def train(
    model: AutoBertForMaskedLM, batches: MaskedBatches, accelerator: Accelerator, folder: Path, inherited: int = 0
) -> final.Curve:
    held_out = batches.held_out(16)
    checkpoint = folder / "found.safetensors"
    return train_and_record(model, RECIPE, batches, held_out, accelerator, checkpoint, "found", inherited)


def test_the_curve_ends_with_the_loss_of_the_model(
    model: AutoBertForMaskedLM, batches: MaskedBatches, accelerator: Accelerator, tmp_path: Path
) -> None:
    curve = train(model, batches, accelerator, tmp_path)
    assert [tokens for tokens, _ in curve] == [160 * step for step in (2, 5, 7, 9, 12, 14, 16, 18, 21, 23)]
    assert curve[-1][1] == evaluate(model, batches.held_out(16), accelerator)
    assert curve[-1][1] < curve[0][1]


def test_milestones_count_inherited_tokens(
    model: AutoBertForMaskedLM,
    batches: MaskedBatches,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Curves that began elsewhere meet at the same numbers of tokens; what lies outside the training is left out."""
    monkeypatch.setattr(final, "MILESTONES", (160, 1600 + 160, 1600 + 3 * 160, 1600 + 24 * 160))
    curve = train(model, batches, accelerator, tmp_path, inherited=1600)
    steps = [(tokens - 1600) // 160 for tokens, _ in curve]
    assert steps == [1, 2, 3, 5, 7, 9, 12, 14, 16, 18, 21, 23]


@pytest.mark.parametrize("kills", [(1,), (6,), (3, 17), (22,)])
@pytest.mark.parametrize("often", [True, False], ids=["checkpoint at every step", "checkpoints at the points only"])
def test_killed_and_continued_is_as_never_killed(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    batches: MaskedBatches,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kills: tuple[int, ...],
    often: bool,
) -> None:
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    curve = train(model, batches, accelerator, tmp_path / "whole")
    monkeypatch.setattr(Clock, "rings", lambda clock: often)
    update = Trainer.update
    for kill in kills:

        def killed(trainer: Trainer, batch: dict[str, torch.Tensor], at: int = kill) -> float:
            if trainer.step == at:
                raise KeyboardInterrupt
            return update(trainer, batch)

        other_model.load_state_dict(start)
        monkeypatch.setattr(Trainer, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            train(other_model, batches, accelerator, tmp_path / "killed")
    monkeypatch.setattr(Trainer, "update", update)
    other_model.load_state_dict(start)
    assert train(other_model, batches, accelerator, tmp_path / "killed") == curve
    theirs = other_model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


def test_a_finished_training_is_not_repeated(
    model: AutoBertForMaskedLM,
    other_model: AutoBertForMaskedLM,
    batches: MaskedBatches,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    curve = train(model, batches, accelerator, tmp_path)
    monkeypatch.setattr(Trainer, "update", lambda trainer, batch: pytest.fail("trained again"))
    assert train(other_model, batches, accelerator, tmp_path) == curve
    theirs = other_model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())
