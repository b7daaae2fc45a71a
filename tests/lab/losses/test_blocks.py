"""Block distillation."""

import pytest
import torch
from torch.nn.functional import linear
from transformers import BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.distilling.block_maps import BlockMaps, reduced
from autobert_hf.lab.distilling.ridge import ridge
from autobert_hf.lab.distilling.signals import DistillationError
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.blocks import BlockDistillation
from autobert_hf.lab.losses.loss import Step
from autobert_hf.modeling.layers_alone import run_layers

from ..teaching import NO_DROPOUT, SIZES, batch, enlarged


NOTHING = {"skip": ["mixer", "feed_forward"]}
CONFIG = AutoBertConfig(**SIZES | {"num_hidden_layers": 4}, **NO_DROPOUT, norm_position="pre")


@pytest.fixture
def loss(teacher: Teacher) -> BlockDistillation:
    return BlockDistillation(CONFIG, teacher)


def network(**changes: object) -> AutoBertForMaskedLM:
    torch.manual_seed(0)
    return AutoBertForMaskedLM(AutoBertConfig.from_dict(CONFIG.to_dict() | changes)).eval()


def test_layers_alone_give_what_they_give_in_the_network():
    model, words = network(), batch()
    states = model(**words, output_hidden_states=True).hidden_states
    found = run_layers(model, range(1, 3), states[1], words["attention_mask"])
    real = words["attention_mask"].bool()
    torch.testing.assert_close(found[real], states[3][real])


def test_a_product_of_low_rank_is_the_best_one():
    """Of full rank it is the map itself; of less, the error is the variance of the outputs that are left out."""
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 5, generator=rng, dtype=torch.double)
    x = torch.randn(2000, 5, generator=rng, dtype=torch.double) @ torch.diag(torch.arange(1.0, 6).double())
    covariance = x.T @ x / len(x)
    variances = torch.linalg.eigvalsh(weight @ covariance @ weight.T)
    for rank in (2, 4, 5, 9):
        into, out_of = reduced(weight, covariance, rank)
        assert into.shape == (rank, 5) and out_of.shape == (6, rank)
        error = (linear(linear(x, into), out_of) - linear(x, weight)).square().sum(1).mean()
        torch.testing.assert_close(error, variances[: max(6 - rank, 0)].sum(), atol=1e-6, rtol=1e-6)


def test_a_block_without_operations_starts_at_the_floor(teacher: Teacher):
    """Its width is the teacher's, so that the whole linear map passes."""
    loss, batches = BlockDistillation(CONFIG, teacher), [batch(seed) for seed in range(30)]
    loss.fit([], batches)
    nothing = network(layer_types=["full_attention"] * 4, per_layer_values={"skip": [NOTHING["skip"]] * 4})
    tested = [loss.score(one)(nothing) for one in batches[::3]]
    total = sum(sum(value for value, _ in terms.values()) for terms in tested)
    tokens = sum(next(iter(terms.values()))[1] for terms in tested)
    assert total / tokens == pytest.approx(loss.floor(None), rel=1e-3)


def test_blocks_learn_alone(loss: BlockDistillation):
    assert loss.borders == (0, 1, 2) and loss.layers == 2
    model = enlarged(network())
    loss(batch(), loss.items(batch()), Step())(model)["block 2"].backward()
    moved = {name for name, p in [*model.named_parameters(), *loss.named_parameters()] if p.grad is not None}
    assert {name.split(".")[3] for name in moved if "layers." in name} == {"2", "3"}
    assert not any("embeddings" in name or "predictions" in name or "final" in name for name in moved)
    assert {name.split(".")[1] for name in moved if name.startswith("maps.")} == {"1"}


def test_padding_teaches_nothing(loss: BlockDistillation):
    model, wider = enlarged(network()), batch(tokens=12)
    for name, (total, count) in loss.score(batch())(model).items():
        assert loss.score(wider)(model)[name] == (pytest.approx(total, rel=1e-4), count)


def test_the_teacher_is_asked_once_for_a_batch(loss: BlockDistillation, monkeypatch: pytest.MonkeyPatch):
    asked, forward = [], BertModel.forward
    monkeypatch.setattr(
        BertModel, "forward", lambda model, *args, **given: asked.append(1) or forward(model, *args, **given)
    )
    direct = loss.score(batch())(network())
    loss.teacher.remember()
    assert [loss.score(batch())(network()) for _ in range(3)] == [direct] * 3
    assert len(asked) == 2


def test_the_maps_are_saved_with_the_floor(loss: BlockDistillation):
    loss.fit([], [batch(seed) for seed in range(6)])
    assert {"maps.0.floor", "maps.1.into.weight"} <= loss.state_dict().keys()
    assert 0 < loss.state_dict()["maps.0.floor"] < 1


def test_a_narrow_student_gets_what_passes():
    torch.manual_seed(0)
    x = torch.randn(500, 8)
    y, maps = x @ torch.randn(8, 8), BlockMaps(8, 3)
    maps.fit(ridge([(x, y)]), [(x, y)])
    passed = maps.out_of(maps.into(x))
    assert maps.floor < 1e-2 < (passed - y).square().mean() < y.var()
    torch.testing.assert_close(maps.into(x).var(0), torch.ones(3), atol=0.01, rtol=0)


@pytest.mark.parametrize("borders", [[0], [2, 1], [0, 3], [-1, 2]])
def test_borders_are_those_of_the_teacher(teacher: Teacher, borders: list[int]):
    with pytest.raises(DistillationError, match="part no layers of the teacher, which has 2: give two or more rising"):
        BlockDistillation(CONFIG, teacher, borders)


def test_a_chain_too_short_for_its_blocks(teacher: Teacher):
    short = AutoBertConfig.from_dict(CONFIG.to_dict() | {"num_hidden_layers": 3, "layer_types": None})
    with pytest.raises(DistillationError, match="3 layers of the student cannot be shared out to 2 blocks"):
        BlockDistillation(short, teacher, [0, 1, 2])
    assert BlockDistillation(short, teacher).borders == (0, 2)
