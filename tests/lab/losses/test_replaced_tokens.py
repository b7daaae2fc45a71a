"""Replaced-token detection."""

import torch
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForReplacedTokenDetection
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.replaced_tokens import ReplacedTokens

from ..teaching import NO_DROPOUT, SIZES, enlarged


CONFIG = AutoBertConfig(**SIZES, **NO_DROPOUT)


def batch(tokenizer: BertTokenizer) -> Batch:
    rows = torch.randint(5, 60, (7, 20), generator=torch.Generator().manual_seed(0))
    return MaskedBatches(rows, tokenizer, 7, seed=0).batch("test", step=0)


def pair() -> tuple[ReplacedTokens, AutoBertForReplacedTokenDetection]:
    torch.manual_seed(0)
    return enlarged(ReplacedTokens(CONFIG)), enlarged(AutoBertForReplacedTokenDetection(CONFIG))


def test_the_generator_is_a_quarter_as_wide_and_has_no_word_embeddings():
    loss = ReplacedTokens(CONFIG)
    assert loss.generator.encoder.config.hidden_size == CONFIG.hidden_size // 4
    assert not any(tuple(p.shape)[:1] == (CONFIG.vocab_size,) and p.ndim > 1 for p in loss.parameters())
    again = ReplacedTokens(CONFIG)
    assert all(one.equal(other) for one, other in zip(loss.parameters(), again.parameters(), strict=True))


def test_the_generator_learns_from_masked_words_alone_and_the_embeddings_from_both(tokenizer):
    for term, learns in (("generator", True), ("replaced", False)):
        loss, network = pair()
        loss(batch(tokenizer), loss.items(batch(tokenizer)), Step())(network)[term].backward()
        assert any(p.grad is not None for p in loss.parameters()) == learns
        assert network.get_input_embeddings().weight.grad.abs().sum() > 0
        assert any(p.grad is not None for p in network.autobert.encoder.parameters()) != learns


def test_answers_are_drawn_by_the_generators_probabilities(tokenizer):
    """20,000 draws of one token: shares within 4 standard errors, the same for the same step, others for another."""
    loss, words = ReplacedTokens(CONFIG), batch(tokenizer)
    labelled = words["labels"] != -100
    logits = torch.randn(int(labelled.sum()), 60, generator=torch.Generator().manual_seed(1))
    drawn = torch.stack([loss.answered(words, logits, Step(number))["input_ids"][labelled] for number in range(2000)])
    share, wanted = torch.nn.functional.one_hot(drawn, 60).double().mean(0), logits.double().softmax(-1)
    assert ((share - wanted).abs() < 5 * (wanted * (1 - wanted) / 2000).sqrt() + 1e-3).all()
    assert drawn[0].equal(loss.answered(words, logits, Step(0))["input_ids"][labelled])
    assert not drawn[0].equal(drawn[1])


def test_an_answer_that_is_right_is_no_replacement(tokenizer):
    loss, words = ReplacedTokens(CONFIG), batch(tokenizer)
    labelled, labels = words["labels"] != -100, words["labels"]
    sure = torch.nn.functional.one_hot(labels[labelled], 60) * 1e4
    right = loss.answered(words, sure, Step())
    assert not right["labels"].any() and right["input_ids"][labelled].equal(labels[labelled])
    wrong = loss.answered(words, sure.roll(1, -1), Step())
    assert wrong["labels"].bool().equal(labelled)
    assert wrong["input_ids"][~labelled].equal(words["input_ids"][~labelled])


def test_the_discriminators_term_counts_fifty_times(tokenizer):
    loss, network = pair()
    words = batch(tokenizer)
    found = loss(words, loss.items(words), Step())(network)["replaced"]
    with torch.no_grad():
        answered = loss.answered(words, loss.generator(words, network.get_input_embeddings()), Step())
        torch.testing.assert_close(found.detach(), 50 * network(**answered).loss)
        right = ((network(**answered).logits > 0) == answered["labels"]).float().mean().item()
    assert loss.accuracy(network, [words]) == right
