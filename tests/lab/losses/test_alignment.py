"""Alignment to an anchor."""

import random

import pytest
import torch
from accelerate import Accelerator

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.losses.alignment import Aligned
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.searchers.policies import Anchored, MagicT, SinglePath
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations
from autobert_hf.searchers.supernets import ChoiceSupernet, sampled


SPACE = ChainSpace(main_operations(16, heads=2), 4, 16)
BASE = AutoBertConfig(vocab_size=60, hidden_size=16, num_attention_heads=2, max_position_embeddings=32)
BATCH = {
    "input_ids": torch.randint(5, 60, (4, 9), generator=torch.Generator().manual_seed(0)),
    "attention_mask": (torch.arange(9) < torch.tensor([[9], [9], [5], [3]])).long(),
    "labels": torch.full((4, 9), -100).index_fill(1, torch.tensor([1, 2]), 7),
}


def supernet() -> ChoiceSupernet:
    return ChoiceSupernet(SPACE, BASE, 0, AutoBertForMaskedLM)


def aligned(net: ChoiceSupernet, anchor, **options) -> Aligned:
    def anchors(step):
        return [net.network(anchor, training=False)]

    return Aligned(MaskedWords(BASE), anchors, SPACE.length, **options)


def test_an_anchor_is_aligned_with_itself():
    net = supernet()
    anchor = SPACE.sample(random.Random(0))
    loss = aligned(net, anchor)
    found = loss(BATCH, loss.items(BATCH), Step())(net.network(anchor, training=False))
    assert found["alignment"].item() == 0
    other = SPACE.sample(random.Random(1))
    assert loss(BATCH, loss.items(BATCH), Step())(net.network(other, training=False))["alignment"].item() > 0


def test_the_error_is_that_of_layer_normed_outputs_to_the_mean_of_the_anchors():
    net, rng = supernet(), random.Random(0)
    path, *anchors = (net.network(SPACE.sample(rng), training=False) for _ in range(3))
    for name, parameter in net.module.named_parameters():
        if "norm" in name:  # of a layer, which starts as the one that the loss applies
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(name)))
    loss = Aligned(MaskedWords(BASE), lambda step: anchors, SPACE.length, weight=0.25, block=2)

    def outputs(network) -> torch.Tensor:
        """After the second and the fourth layer, of real tokens."""
        found = []
        layers = network.model.autobert.encoder.layers
        hooks = [layers[at].register_forward_hook(lambda layer, given, out: found.append(out)) for at in (1, 3)]
        network(**BATCH)
        for hook in hooks:
            hook.remove()
        return torch.stack([torch.layer_norm(one[BATCH["attention_mask"] == 1], [16]) for one in found])

    with torch.no_grad():
        target = (outputs(anchors[0]) + outputs(anchors[1])) / 2
        error = (outputs(path) - target).square().mean(-1).sum() / BATCH["attention_mask"].sum()
        found = loss(BATCH, loss.items(BATCH), Step())(path)["alignment"]
    torch.testing.assert_close(found, 0.25 * error)


def test_the_anchor_gets_no_gradient():
    net = supernet()
    anchor, path = SPACE.of("FFN", "FFN", "FFN", "FFN"), SPACE.of("CONV3", "CONV3", "CONV5", "CONV5")
    loss = aligned(net, anchor)
    terms = loss(BATCH, loss.items(BATCH), Step())(net.network(path))
    terms["alignment"].backward()
    gradients = {name: p.grad for name, p in net.module.named_parameters() if ".operations." in name}
    trained = {name.partition(".operations.")[2][0] for name, grad in gradients.items() if grad is not None}
    assert trained == {"2", "3"}  # CONV3 and CONV5


def test_shards_add_up():
    net = supernet()
    net.module.eval()
    loss = aligned(net, SPACE.sample(random.Random(0)))
    path, items = net.network(SPACE.sample(random.Random(1)), training=False), loss.items(BATCH)
    whole = loss(BATCH, items, Step())(path)
    parts = [{name: tensor[rows] for name, tensor in BATCH.items()} for rows in (slice(0, 1), slice(1, None))]
    summed = [loss(part, items, Step())(path) for part in parts]
    for name, value in whole.items():
        torch.testing.assert_close(value, summed[0][name] + summed[1][name])


@pytest.mark.parametrize("walk", [SinglePath, MagicT])
def test_without_weight_it_is_the_policy_alone(walk):
    """Bit by bit: lambda = 0 makes magic-a single-path, and magic-at magic-t."""

    def trained(is_aligned: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)  # of dropout
        net, policy = supernet(), walk(SPACE, 3)
        anchored = Anchored(policy, lambda one: random.random(), every=2)
        loss = MaskedWords(BASE)
        if is_aligned:
            policy, loss = anchored, aligned(net, anchored.anchor, weight=0.0)
        team = Team(Accelerator(cpu=True, mixed_precision="no"))
        trainer = Trainer(net.module, loss, sampled(net, policy), Recipe(6, shards=2), team, [policy])
        trainer.run(lambda step: BATCH)
        return {name: tensor.clone() for name, tensor in trainer.tensors().items() if name.startswith("model.")}

    alone, both = trained(False), trained(True)
    assert all(tensor.equal(both[name]) for name, tensor in alone.items())


def test_it_begins_after_the_warm_up():
    net = supernet()
    loss = aligned(net, SPACE.sample(random.Random(0)), begin=10)
    path = net.network(SPACE.sample(random.Random(1)), training=False)
    assert "alignment" not in loss(BATCH, loss.items(BATCH), Step(9))(path)
    assert "alignment" in loss(BATCH, loss.items(BATCH), Step(10))(path)


def test_a_chain_too_short_for_its_blocks():
    net = supernet()
    with pytest.raises(ValueError, match="A chain of 4 layers has no block of 5: give --block 1 to 4"):
        aligned(net, SPACE.sample(random.Random(0)), block=5)
