"""What goes together according to the tables is built and run; what does not is refused or fails; the docs agree."""

from itertools import product
from pathlib import Path
from random import Random

import pytest
import torch

from autobert_hf import AutoBertConfig, GridSpace
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.losses.loss import Step
from autobert_hf.searchers.compatibility import LOSS_AND_NETWORK, LOSS_AND_SUPERNET, SPACE_AND_SUPERNET, as_markdown
from autobert_hf.searchers.spaces import SPACES
from autobert_hf.searchers.supernets import SUPERNETS, BranchedSupernet, ChoiceSupernet, SlicedSupernet

from .world import BASE, CHAIN, DISTIL, HEADS_KEPT, LTS, TINY, ZERO, World


KINDS = {"encoder": False, "decoder": True}
DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
SPACE = {
    "autobert-zero": ZERO,
    "autotinybert": TINY,
    "autodistil": DISTIL,
    "chain": CHAIN,
    "lts": LTS,
    "grid": GridSpace(num_hidden_layers=[1, 2]),
}


def build(supernet, space, base, network):
    if supernet == "branched":
        return BranchedSupernet(space, base, 0, network)
    if supernet == "choice":
        return ChoiceSupernet(space, base, 0, network)
    return SlicedSupernet(space, network(base))


def test_every_pair_is_in_the_tables():
    assert set(SPACE_AND_SUPERNET) == set(product(SPACES, SUPERNETS))
    assert set(LOSS_AND_SUPERNET) == set(product(LOSSES, SUPERNETS))
    assert set(LOSS_AND_NETWORK) == set(product(LOSSES, KINDS))


@pytest.mark.parametrize(("space", "supernet"), SPACE_AND_SUPERNET)
def test_space_and_supernet(space, supernet):
    def run():
        built = build(supernet, SPACE[space], BASE, LOSSES["mlm"].network)
        for seed in range(5):
            architecture = SPACE[space].sample(Random(seed))
            with torch.no_grad():
                out = built.network(architecture, training=False)(input_ids=torch.tensor([[2, 9, 3]]))
            assert out.logits.shape == (1, 3, BASE.vocab_size)
            bare = AutoBertConfig.from_dict(BASE.to_dict() | {"add_pooling_layer": False})
            assert built.extract(architecture).config == architecture.to_config(bare)

    if not SPACE_AND_SUPERNET[space, supernet]:
        run()
    else:
        with pytest.raises(Exception):  # noqa: B017 (whatever comes first of what does not fit)
            run()


@pytest.mark.parametrize(("name", "supernet"), LOSS_AND_SUPERNET)
def test_loss_and_supernet(world: World, name, supernet):
    loss = world.loss(name)
    batch = world.batch(loss.rows)
    spaces = {"branched": ZERO, "choice": CHAIN, "sliced": type(HEADS_KEPT).within(world.base, True, 4, 8)}

    def run():
        built = build(supernet, spaces[supernet], world.base_of(loss), loss.network)
        for seed in range(5):  # formulas of every kind
            network = built.network(spaces[supernet].sample(Random(seed)))
            terms = loss(batch, loss.items(batch), Step())(network)
            torch.stack([*terms.values()]).sum().backward()

    if not LOSS_AND_SUPERNET[name, supernet]:
        run()
    else:
        with pytest.raises(Exception):  # noqa: B017
            run()


@pytest.mark.parametrize(("name", "kind"), LOSS_AND_NETWORK)
def test_loss_and_network(world: World, name, kind):
    config = AutoBertConfig.from_dict(world.base.to_dict() | {"is_decoder": KINDS[kind]})
    teacher = world.teacher if LOSSES[name].needs_teacher else None
    if not LOSS_AND_NETWORK[name, kind]:
        loss = LOSSES[name](config, teacher)
        batch = world.batch(loss.rows)
        assert all(total > 0 for total, _ in loss.score(batch)(loss.network(config).eval()).values())
    else:
        with pytest.raises(ValueError, match=LOSS_AND_NETWORK[name, kind].removeprefix("it ")):
            LOSSES[name](config, teacher)


def test_the_docs_show_the_tables():
    text = DOCS.read_text()
    assert as_markdown(SPACE_AND_SUPERNET, "space") in text
    assert as_markdown(LOSS_AND_SUPERNET, "loss") in text
    assert as_markdown(LOSS_AND_NETWORK, "loss") in text
