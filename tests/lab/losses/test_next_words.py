"""Next words by hand, on our decoder and on transformers' own, and the logits that are computed for them."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertTokenizer, GPT2Config, GPT2LMHeadModel

from autobert_hf import AutoBertConfig, AutoBertForCausalLM
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.next_words import NextWordBatches
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.losses.next_words import NextWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer

from ..teaching import enlarged


@pytest.fixture
def decoder(config: AutoBertConfig) -> AutoBertForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return enlarged(AutoBertForCausalLM(AutoBertConfig.from_dict(config.to_dict() | {"is_decoder": True})))


@pytest.fixture
def words(rows: torch.Tensor, tokenizer: BertTokenizer) -> NextWordBatches:
    return NextWordBatches(rows, tokenizer, 8, seed=1)


def by_hand(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def test_rows_are_those_of_masked_words_without_masks(words: NextWordBatches, rows: torch.Tensor) -> None:
    batch = words.batch("final", step=3)
    chosen = words.shuffled("final", "order", 0)[24:32]
    assert torch.equal(batch["input_ids"], rows[chosen])
    special = torch.isin(batch["input_ids"], torch.tensor(words.tokenizer.all_special_ids))
    assert special.any()
    assert torch.equal(batch["labels"], batch["input_ids"].masked_fill(special, -100))
    assert torch.equal(words.held_out(10)[0]["input_ids"], rows[:8])


def test_the_loss_is_the_mean_cross_entropy_of_the_next_word(
    decoder: AutoBertForCausalLM, words: NextWordBatches
) -> None:
    batch, loss = words.batch("test", step=0), NextWords(decoder.config)
    found = loss(batch, loss.items(batch), Step())(decoder)["words"]
    torch.testing.assert_close(found, by_hand(decoder(batch["input_ids"]).logits, batch["labels"]))
    torch.testing.assert_close(found, decoder(**batch).loss)
    total, number = loss.score(batch)(decoder)["words"]
    assert total / number == pytest.approx(found.item(), rel=1e-5)


def test_it_trains_the_gpt2_of_transformers_alike(words: NextWordBatches, team: Team) -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=16, n_layer=1, n_head=2, n_positions=32)).eval()
    batch, loss = words.batch("test", step=0), NextWords(model.config)
    torch.testing.assert_close(loss(batch, loss.items(batch), Step())(model)["words"], model(**batch).loss)


def test_logits_are_computed_only_where_a_word_follows(decoder: AutoBertForCausalLM, words: NextWordBatches) -> None:
    shapes = []
    decoder.predictions.decoder.register_forward_hook(lambda module, inputs, out: shapes.append(out.shape[:-1]))
    batch, loss = words.batch("test", step=0), NextWords(decoder.config)
    batch["labels"][:, :11] = -100
    batch["labels"][:, 15:] = -100
    batch["labels"][:, 12] = -100
    loss(batch, loss.items(batch), Step())(decoder)
    assert shapes == [(8, 3)]
    torch.testing.assert_close(loss(batch, loss.items(batch), Step())(decoder)["words"], decoder(**batch).loss)


def test_a_batch_without_a_word_teaches_nothing(decoder: AutoBertForCausalLM, words: NextWordBatches) -> None:
    batch, loss = words.batch("test", step=0), NextWords(decoder.config)
    batch["labels"] = torch.full_like(batch["labels"], -100)
    found = loss(batch, {"words": 0}, Step())(decoder)["words"]
    found.backward()
    assert found.item() == 0 and not any(p.grad.any() for p in decoder.parameters() if p.grad is not None)


def test_a_short_training_falls_below_the_start(
    decoder: AutoBertForCausalLM, words: NextWordBatches, team: Team
) -> None:
    loss = NextWords(decoder.config)
    held_out = HeldOut(loss, words.held_out(16), team)
    before = held_out(decoder.eval())
    trainer = Trainer(decoder, loss, lambda step, shard: [decoder], Recipe(20, 3e-3, shards=2), team, seed=0)
    trainer.run(lambda step: words.batch("final", step=step), until=20, on_step=lambda step, value: None)
    assert held_out(decoder.eval()) < before - 0.05


def test_the_floor_is_that_of_the_text(decoder: AutoBertForCausalLM, words: NextWordBatches) -> None:
    text = Text(words.tokenizer, words, words.held_out(8), floor=math.e, device=torch.device("cpu"))
    assert NextWords(decoder.config).floors(text) == {"floor": math.e}


def test_what_does_not_go_together_is_refused(config: AutoBertConfig, decoder: AutoBertForCausalLM) -> None:
    with pytest.raises(ValueError, match="this is an encoder: it sees the words.*Set is_decoder=True.* loss mlm"):
        NextWords(config)
    with pytest.raises(ValueError, match="This network is a decoder.*Use the loss next-words"):
        MaskedWords(decoder.config)
