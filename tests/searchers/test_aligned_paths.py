"""MAGIC's ways of training, on the supernet of AutoBERT-Zero too."""

import pytest
import torch

from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.searchers.aligned_paths import AlignedPaths
from autobert_hf.searchers.settings.magic import MagicSettings
from autobert_hf.searchers.supernets import BranchedSupernet, sampled


STEPS = 6


@pytest.mark.parametrize("loss", ["mlm", "rtd"])
@pytest.mark.parametrize("policy", ["single-path", "magic-t", "magic-a", "magic-at", "average-alignment"])
def test_they_train_formulas_and_convolutions(space, base, text, team, policy, loss):
    learned = LOSSES[loss](base)
    supernet = BranchedSupernet(space, base, 0, learned.network)
    settings = MagicSettings("run", policy=policy, supernet_steps=STEPS, anchor_every=2, block=1, loss=loss)
    aligned = AlignedPaths(settings, supernet, learned, 3, 2, text.held_out[:1], team)
    paths, whole = aligned.aligned(aligned.paths())
    before = {name: tensor.clone() for name, tensor in supernet.module.named_parameters()}
    networks = sampled(supernet, paths)
    trainer = Trainer(supernet.module, whole, networks, Recipe(STEPS, 1e-3), team, [paths])
    trainer.run(text.stream("test"))
    changed = [name for name, tensor in supernet.module.named_parameters() if not tensor.equal(before[name])]
    assert any("convolution" in name for name in changed) and any("mixer" in name for name in changed)
    assert all(torch.isfinite(tensor).all() for tensor in supernet.module.parameters())
    terms = {*whole.items(text.held_out[0])}
    assert ("alignment" in terms) == (policy in ("magic-a", "magic-at", "average-alignment"))
