"""MAGIC's ways of training, on chains and on the supernet of AutoBERT-Zero."""

import pytest
import torch

from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.searchers.aligned_paths import AlignedPaths
from autobert_hf.searchers.settings.magic import MagicSettings
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations
from autobert_hf.searchers.supernets import BranchedSupernet, ChoiceSupernet, sampled


STEPS = 6


WAYS = {
    **{name: {"policy": name} for name in ("single-path", "magic-t", "magic-a", "magic-at", "average-alignment")},
    "anchor study": {"policy": "magic-a", "anchor_share": 0.3, "anchor_every": STEPS},
}


@pytest.mark.parametrize("loss", ["mlm", "rtd"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["branched", "choice"])
def test_they_train_all_kinds_of_layers(space, base, text, team, kind, way, loss):
    learned = LOSSES[loss](base)
    if kind == "branched":
        supernet, names = BranchedSupernet(space, base, 0, learned.network), ("convolution", "mixer")
    else:
        chains = ChainSpace(main_operations(base.hidden_size, base.num_attention_heads), 3, base.hidden_size)
        supernet, names = ChoiceSupernet(chains, base, 0, learned.network), ("operations.0", "operations.1")
    settings = MagicSettings(
        "run", **{"anchor_every": 3, "supernet_steps": STEPS, "block": 1, "loss": loss} | WAYS[way]
    )
    aligned = AlignedPaths(settings, supernet, learned, 3, 2, text.held_out[:1], team)
    paths, whole = aligned.aligned(aligned.paths())
    before = {name: tensor.clone() for name, tensor in supernet.module.named_parameters()}
    trainer = Trainer(supernet.module, whole, sampled(supernet, paths), Recipe(STEPS, 1e-3), team, [paths])
    trainer.run(text.stream("test"))
    changed = [name for name, tensor in supernet.module.named_parameters() if not tensor.equal(before[name])]
    assert all(any(name in one for one in changed) for name in names)
    assert all(torch.isfinite(tensor).all() for tensor in supernet.module.parameters())
    assert ("alignment" in whole.items(text.held_out[0])) == (way not in ("single-path", "magic-t"))
