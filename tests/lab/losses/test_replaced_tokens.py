"""Replaced-token detection."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
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


def test_the_embeddings_are_trained_as_the_generators_input_and_as_its_output(tokenizer):
    loss, network = pair()
    words, embeddings = batch(tokenizer), network.get_input_embeddings()

    def gradient() -> torch.Tensor:
        embeddings.weight.grad = None
        loss(words, loss.items(words), Step())(network)["generator"].backward()
        return embeddings.weight.grad

    both = gradient()
    embeddings.register_forward_hook(lambda module, inputs, found: found.detach())
    output = gradient()
    for of_one_use in (output, both - output):
        assert of_one_use.abs().max() > 1e-3 * both.abs().max()


def test_answers_are_drawn_by_the_generators_probabilities(tokenizer):
    """2,000 draws of each token: the shares lie within 5 standard errors."""
    loss, words = ReplacedTokens(CONFIG), batch(tokenizer)
    labelled = words["labels"] != -100
    logits = torch.randn(int(labelled.sum()), 60, generator=torch.Generator().manual_seed(1))
    drawn = torch.stack([loss.answered(words, logits, Step(number))["input_ids"][labelled] for number in range(2000)])
    share, wanted = torch.nn.functional.one_hot(drawn, 60).double().mean(0), logits.double().softmax(-1)
    assert ((share - wanted).abs() < 5 * (wanted * (1 - wanted) / 2000).sqrt() + 1e-3).all()


def test_draws_follow_from_seed_step_and_row(tokenizer):
    loss, words = ReplacedTokens(CONFIG), batch(tokenizer)
    words = {name: values[:1].repeat(2, *[1] * (values.ndim - 1)) for name, values in words.items()}
    words["input_ids"][1, ~(words["labels"][1] != -100)] = 7  # another row, labelled in the same places
    labelled = words["labels"] != -100
    even = torch.zeros(int(labelled.sum()), 60)

    def drawn(step: Step) -> torch.Tensor:
        return loss.answered(words, even, step)["input_ids"][labelled]

    first, second = drawn(Step()).chunk(2)
    assert not first.equal(second)
    assert drawn(Step()).equal(drawn(Step()))
    assert not drawn(Step()).equal(drawn(Step(1))) and not drawn(Step()).equal(drawn(Step(seed=1)))


def test_an_answer_that_is_right_is_no_replacement(tokenizer):
    loss, words = ReplacedTokens(CONFIG), batch(tokenizer)
    labelled, labels = words["labels"] != -100, words["labels"]
    sure = torch.nn.functional.one_hot(labels[labelled], 60) * 1e4
    right = loss.answered(words, sure, Step())
    assert not right["labels"].any() and right["input_ids"][labelled].equal(labels[labelled])
    wrong = loss.answered(words, sure.roll(1, -1), Step())
    assert wrong["labels"].bool().equal(labelled)
    assert wrong["input_ids"][~labelled].equal(words["input_ids"][~labelled])


@pytest.mark.parametrize("padding", [0, 6])
def test_the_discriminators_term_counts_fifty_times_and_padding_counts_nothing(tokenizer, padding):
    loss, network = pair()
    words, real = batch(tokenizer), torch.ones(7, 20, dtype=torch.bool)
    real[-1, 20 - padding :] = False
    words |= {"attention_mask": real.long(), "labels": words["labels"].where(real, -100)}
    assert loss.items(words)["replaced"] == 140 - padding
    found = loss(words, loss.items(words), Step())(network)["replaced"]
    with torch.no_grad():
        answered = loss.answered(words, loss.generator(words, network.get_input_embeddings()), Step())
        logits, labels = network(**answered).logits[real], answered["labels"][real]
    torch.testing.assert_close(found.detach(), 50 * binary_cross_entropy_with_logits(logits, labels.float()))
    assert loss.accuracy(network, [words]) == pytest.approx(((logits > 0) == labels).double().mean().item())
