"""MAGIC's ways of training, on chains and on the supernet of AutoBERT-Zero."""

import pytest
import torch

from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.searchers.aligned_paths import AlignedPaths
from autobert_hf.searchers.policies import TopShare
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
    assert isinstance(paths, TopShare) == (way == "anchor study")


@pytest.fixture
def chains(base):
    return ChainSpace(main_operations(base.hidden_size, base.num_attention_heads), 3, base.hidden_size)


def aligned_chains(chains, base, text, team, choices=4, **given):
    learned = LOSSES["mlm"](base)
    supernet = ChoiceSupernet(chains, base, 0, learned.network)
    settings = MagicSettings("run", **{"supernet_steps": 20, "block": 1} | given)
    return AlignedPaths(settings, supernet, learned, 3, choices, text.held_out[:1], team)


def test_anchors_are_judged_by_accuracy_or_else_by_loss(chains, base, text, team, monkeypatch):
    aligned = aligned_chains(chains, base, text, team)
    answers = [text.held_out[0] | {"labels": torch.full_like(text.held_out[0]["labels"], 7)}]
    monkeypatch.setattr(aligned, "batches", answers)
    aligned.supernet.module.get_output_embeddings().bias.data[7] = 99
    one, other = chains.of("FFN", "FFN", "FFN"), chains.of("CONV3", "MHA2", "CONV5")
    assert aligned.judge(one) == 1
    monkeypatch.setattr(type(aligned.loss), "accuracy", lambda *given: None)
    losses = [aligned.held_out(aligned.supernet.network(chain, training=False)) for chain in (one, other)]
    assert losses[0] != losses[1]
    assert [aligned.judge(one), aligned.judge(other)] == [-losses[0], -losses[1]]


def test_alignment_begins_after_a_tenth_of_the_steps(chains, base, text, team):
    _, whole = (aligned := aligned_chains(chains, base, text, team)).aligned(aligned.paths())
    network, batch = aligned.supernet.network(chains.smallest(), training=False), text.held_out[0]
    terms = [{*whole(batch, whole.items(batch), Step(number))(network)} for number in (1, 2)]
    assert ["alignment" in found for found in terms] == [False, True]


@pytest.mark.parametrize(("policy", "number"), [("magic-a", 1), ("average-alignment", 4)])
def test_what_a_step_is_aligned_with(chains, base, text, team, policy, number):
    """The anchor, or as many other paths as there are operations; none of them with dropout."""
    policy, whole = (aligned := aligned_chains(chains, base, text, team, policy=policy)).aligned(aligned.paths())
    networks = whole.anchors(Step(5))
    assert len({network.architecture for network in networks}) == number
    assert not any(network.training for network in networks)
    assert number > 1 or networks[0].architecture == policy.anchor
    again, other = ([one.architecture for one in whole.anchors(Step(step))] for step in (5, 6))
    assert again == [one.architecture for one in networks] and (other == again) == (number == 1)


@pytest.mark.parametrize("choices", [2, 4])
def test_a_walk_is_lazy_with_two_operations_only(chains, base, text, team, choices):
    assert aligned_chains(chains, base, text, team, choices).paths().lazy == (choices == 2)
