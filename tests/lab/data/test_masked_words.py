"""Batches repeat exactly, mask as BERT does, and never ask for what is no word."""

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.data.masked_words import MaskedBatches


Batch = dict[str, torch.Tensor]


def original(batch: Batch) -> torch.Tensor:
    return torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(one[name], other[name]) for name in ("input_ids", "labels"))


@pytest.fixture
def many(tokenizer: BertTokenizer) -> MaskedBatches:
    """400,000 tokens with special ones among them."""
    generator = torch.Generator().manual_seed(0)
    return MaskedBatches(torch.randint(0, 60, (4000, 100), generator=generator), tokenizer, 4000, seed=3)


def test_a_batch_depends_on_seed_purpose_and_step_alone(batches: MaskedBatches) -> None:
    batch = batches.batch("warm-up", step=3)
    batches.batch("warm-up", step=4)
    torch.manual_seed(12345)
    assert same(batches.batch("warm-up", step=3), batch)
    assert same(MaskedBatches(batches.rows, batches.tokenizer, 8, seed=1).batch("warm-up", step=3), batch)
    others = [
        batches.batch("warm-up", step=4),
        batches.batch("round", 0, step=3),
        batches.batch("round", 1, step=3),
        MaskedBatches(batches.rows, batches.tokenizer, 8, seed=2).batch("warm-up", step=3),
    ]
    assert not any(same(other, batch) for other in others)
    assert not same(others[1], others[2])


def test_drawing_leaves_the_global_generator_alone(batches: MaskedBatches) -> None:
    before = torch.random.get_rng_state()
    batches.batch("final", step=0)
    batches.held_out(16)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_rows_themselves_stay(batches: MaskedBatches) -> None:
    before = batches.rows.clone()
    for step in range(6):
        batches.batch("final", step=step)
    batches.held_out(52)
    assert torch.equal(batches.rows, before)


def test_fifteen_percent_are_asked_and_most_of_them_hidden(many: MaskedBatches) -> None:
    batch = many.batch("final", step=0)
    asked = batch["labels"] != -100
    words = original(batch) >= 5
    assert asked[words].float().mean().item() == pytest.approx(0.15, abs=0.003)
    hidden = batch["input_ids"][asked] == many.tokenizer.mask_token_id
    unchanged = batch["input_ids"][asked] == batch["labels"][asked]
    assert hidden.float().mean().item() == pytest.approx(0.80, abs=0.01)
    # A random word is the right one, or the mask, in one of 60 cases each.
    assert unchanged.float().mean().item() == pytest.approx(0.10 + 0.1 / 60, abs=0.008)


def test_special_tokens_are_never_asked_and_never_changed(many: MaskedBatches) -> None:
    batch = many.batch("final", step=0)
    truth = original(batch)
    special = truth < 5
    assert special.sum() > 10_000
    assert (batch["labels"][special] == -100).all()
    assert torch.equal(batch["input_ids"][special], truth[special])
    assert sorted(map(tuple, truth.tolist())) == sorted(map(tuple, many.rows.tolist()))


def test_every_epoch_sees_each_row_at_most_once_in_an_order_of_its_own(batches: MaskedBatches) -> None:
    """52 rows make 6 batches of 8; four rows wait for the next epoch."""

    def epoch(number: int) -> list[int]:
        """The rows, by their first word."""
        steps = range(6 * number, 6 * number + 6)
        return torch.cat([original(batches.batch("final", step=step)) for step in steps])[:, 1].tolist()

    first, second = epoch(0), epoch(1)
    assert len(set(first)) == len(set(second)) == 48
    assert first != second
    assert set(first) != set(second), "other rows wait"


def test_held_out_rows_are_the_first_ones_with_fixed_masks(batches: MaskedBatches) -> None:
    parts = batches.held_out(20)
    assert [len(part["labels"]) for part in parts] == [8, 8, 4]
    assert torch.equal(torch.cat([original(part) for part in parts]), batches.rows[:20])
    assert all(same(one, other) for one, other in zip(parts, batches.held_out(20), strict=True))
    assert not same(parts[0], batches.batch("held-out", step=0))


def test_held_out_parts_without_a_question_are_left_out(rows: torch.Tensor, tokenizer: BertTokenizer) -> None:
    short = MaskedBatches(rows[:, :4], tokenizer, batch_size=1, seed=0)
    parts = short.held_out(52)
    assert 0 < len(parts) < 52
    assert all((part["labels"] != -100).any() for part in parts)
    with pytest.raises(ValueError, match="held-out text is so short that no word of it is masked: give more text"):
        MaskedBatches(rows[:3, :1], tokenizer, batch_size=1, seed=0).held_out(3)


def test_fewer_rows_than_a_batch(rows: torch.Tensor, tokenizer: BertTokenizer) -> None:
    message = "52 rows of 20 tokens, fewer than one batch of 53: give more text, a smaller --batch-size"
    with pytest.raises(ValueError, match=message):
        MaskedBatches(rows, tokenizer, batch_size=53, seed=0)
    assert MaskedBatches(rows, tokenizer, batch_size=52, seed=0).tokens_per_batch == 52 * 20
