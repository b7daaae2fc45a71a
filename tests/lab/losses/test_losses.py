"""What every loss keeps: shards add up, whatever their sizes, and held-out scores are sums with their counts."""

from collections.abc import Callable

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForSequenceClassification
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.next_words import NextWordBatches
from autobert_hf.lab.data.row_files import RowFiles, table_of
from autobert_hf.lab.data.sentence_pairs import PairBatches, pair_rows
from autobert_hf.lab.data.single_texts import TextBatches, text_rows
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.losses.head_loss import HeadLoss
from autobert_hf.lab.losses.loss import Loss, Network, Step

from ..teaching import NO_DROPOUT, SIZES, enlarged


# Terms that compare the rows of a shard with each other, or with what varies in the shard.
WITHIN_A_SHARD = {"sentences", "relative_hidden"}
ALL = pytest.mark.parametrize("name", [*LOSSES, "head"])
CUTS = pytest.mark.parametrize("ends", [(3, 7), (1, 2, 7), (1, 3, 4, 7)], ids=str)


def task_batch(tokenizer: BertTokenizer) -> Batch:
    batch = text_batch(tokenizer)
    return batch | {"labels": torch.arange(7) % 3}


def text_batch(tokenizer: BertTokenizer) -> Batch:
    written = [" ".join(f"w{7 * row + word}" for word in range(1 + row)) for row in (5, 1, 3, 0, 6, 2, 4)]
    rows = RowFiles([table_of(text_rows(written, tokenizer, 12))], tokenizer.pad_token_id)
    return TextBatches(rows, tokenizer, 7, seed=0).batch("test", step=0)


def word_batch(tokenizer: BertTokenizer) -> Batch:
    rows = torch.randint(5, 60, (7, 20), generator=torch.Generator().manual_seed(0))
    return MaskedBatches(rows, tokenizer, 7, seed=0).batch("test", step=0)


def next_word_batch(tokenizer: BertTokenizer) -> Batch:
    rows = torch.randint(5, 60, (7, 20), generator=torch.Generator().manual_seed(0))
    return NextWordBatches(rows, tokenizer, 7, seed=0).batch("test", step=0)


def pair_batch(tokenizer: BertTokenizer) -> Batch:
    documents = [" ".join(f"w{(9 * number + word) % 55}." for word in range(12)) for number in range(8)]
    rows, is_random = pair_rows(documents, tokenizer, 19, seed=0)
    return PairBatches(rows, tokenizer, 7, 0, is_random).batch("test", step=0)


BATCHES: dict[str, Callable[[BertTokenizer], Batch]] = {
    "packed": word_batch,
    "unmasked": next_word_batch,
    "pairs": pair_batch,
    "texts": text_batch,
    "a task's": task_batch,
}


def config_for(name: str) -> AutoBertConfig:
    is_decoder = name != "head" and bool(LOSSES[name].decoders)
    labels = {"num_labels": 3, "problem_type": "single_label_classification"}
    return AutoBertConfig(**SIZES, **NO_DROPOUT, **labels, is_decoder=is_decoder)


@pytest.fixture
def loss(name: str, teacher: Teacher) -> Loss:
    config = config_for(name)
    torch.manual_seed(0)
    kind = HeadLoss if name == "head" else LOSSES[name]
    return enlarged(kind(config, teacher if kind.needs_teacher else None))


@pytest.fixture
def network(name: str) -> torch.nn.Module:
    config = config_for(name)
    torch.manual_seed(1)
    return enlarged(AutoBertForSequenceClassification(config) if name == "head" else LOSSES[name].network(config))


@pytest.fixture
def batch(loss: Loss, tokenizer: BertTokenizer) -> Batch:
    return BATCHES[loss.rows](tokenizer)


def cut(batch: Batch, ends: tuple[int, ...]) -> list[Batch]:
    starts = (0, *ends[:-1])
    return [{name: t[start:end] for name, t in batch.items()} for start, end in zip(starts, ends, strict=True)]


def added(loss: Loss, shards: list[Batch]) -> dict[str, int]:
    counts = [loss.items(shard) for shard in shards]
    return {name: sum(count[name] for count in counts) for name in counts[0]}


def alone(loss: Loss, batch: Batch, network: Network) -> dict[str, torch.Tensor]:
    """The terms of a batch that is no shard of another; 0 where it has no items."""
    return loss(batch, {name: count or 1 for name, count in loss.items(batch).items()}, Step())(network)


def gradients(
    terms: dict[str, torch.Tensor], chosen: list[str], *modules: torch.nn.Module
) -> list[torch.Tensor | None]:
    """Of the sum of the chosen terms; empty where there are none."""
    if not chosen:
        return []
    parameters = [p for module in modules for p in module.parameters()]
    return [*torch.autograd.grad(sum(terms[name] for name in chosen), parameters, allow_unused=True)]


@ALL
@CUTS
def test_shards_add_up(loss: Loss, network: torch.nn.Module, batch: Batch, ends: tuple[int, ...]) -> None:
    """Seven rows of unlike lengths in unequal shards: value and gradient are those of the whole batch."""
    shards = cut(batch, ends)
    items = added(loss, shards)
    additive = [name for name in items if name not in WITHIN_A_SHARD]
    whole = alone(loss, batch, network)
    assert whole.keys() == items.keys()
    for name in additive:
        assert items[name] == loss.items(batch)[name]
    expected = gradients(whole, additive, network, loss)
    parts = [loss(shard, items, Step(shard=index))(network) for index, shard in enumerate(shards)]
    total = {name: torch.stack([part[name] for part in parts]).sum() for name in items}
    for name in items:
        own = [alone(loss, shard, network)[name] * (loss.items(shard)[name] / items[name]) for shard in shards]
        torch.testing.assert_close(total[name], torch.stack(own).sum(), atol=1e-6, rtol=1e-5)
        if name in additive:
            torch.testing.assert_close(total[name], whole[name], atol=1e-6, rtol=1e-5)
    for one, other in zip(gradients(total, additive, network, loss), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@ALL
def test_a_score_is_a_sum_and_a_count_for_each_term(loss: Loss, network: torch.nn.Module, batch: Batch) -> None:
    """Count times the mean that training would take, and over uneven batches the sums of the whole."""
    with torch.no_grad():
        means, scores = alone(loss, batch, network), loss.score(batch)(network)
        parts = [loss.score(part)(network) for part in cut(batch, (3, 7))]
    assert {name: count for name, (_, count) in scores.items()} == loss.items(batch)
    for name, (total, count) in scores.items():
        assert total == pytest.approx(means[name].item() * count, rel=1e-5)
        if name not in WITHIN_A_SHARD:
            assert sum(part[name][0] for part in parts) == pytest.approx(total, rel=1e-5)
            assert sum(part[name][1] for part in parts) == count


@ALL
def test_a_batch_is_prepared_once_for_all_networks(loss: Loss, network: torch.nn.Module, batch: Batch) -> None:
    """And what one network was told does not change with the weights of another."""
    losses = loss(batch, loss.items(batch), Step())
    first = losses(network)
    other = enlarged(type(network)(network.config))
    assert any(not torch.equal(losses(other)[name], first[name]) for name in first)
    for name, value in losses(network).items():
        torch.testing.assert_close(value, first[name], atol=0, rtol=0)


@ALL
def test_a_loss_changes_nothing_that_is_not_its_own(loss: Loss, network: torch.nn.Module, batch: Batch) -> None:
    before = (network.config.to_dict(), network.config._attn_implementation, torch.random.get_rng_state())
    given = {name: tensor.clone() for name, tensor in batch.items()}
    with torch.no_grad():
        alone(loss, batch, network)
        loss.score(batch)(network)
    assert before[:2] == (network.config.to_dict(), network.config._attn_implementation)
    assert torch.equal(before[2], torch.random.get_rng_state())
    assert given.keys() == batch.keys()
    assert all(torch.equal(given[name], batch[name]) for name in given)


@ALL
def test_a_renewed_loss_asks_the_same_with_parameters_of_its_own(
    loss: Loss, network: torch.nn.Module, batch: Batch
) -> None:
    other = loss.renewed(network.config)
    assert type(other) is type(loss) and other.items(batch) == loss.items(batch)
    other.load_state_dict(loss.state_dict())
    found = alone(other, batch, network)
    torch.testing.assert_close(found, alone(loss, batch, network), atol=0, rtol=0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert all(parameter.abs().sum() > 0 for parameter in loss.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_its_own_head_is_what_it_makes(name: str, loss: Loss, network: torch.nn.Module) -> None:
    assert type(network) is loss.head
    assert loss.unit and loss.rows in BATCHES


@pytest.mark.parametrize("name", ["mlm", "mlm+nsp"])
def test_a_shard_without_a_labelled_token_adds_nothing(loss: Loss, network: torch.nn.Module, batch: Batch) -> None:
    batch["labels"][:2] = -100
    items = loss.items(batch)
    shards = cut(batch, (2, 7))
    parts = [loss(shard, items, Step())(network)["mlm"] for shard in shards]
    assert parts[0].item() == 0
    torch.testing.assert_close(parts[1], alone(loss, batch, network)["mlm"])
    torch.stack(parts).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
