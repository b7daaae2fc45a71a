"""BERT's own losses by hand, and the vocabulary logits that are computed where they are asked for only."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertForPreTraining
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.sentence_pairs import PairBatches
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWords, MaskedWordsAndPairs, sparse_prediction

from ..teaching import enlarged


def test_words_are_the_mean_cross_entropy_of_labelled_tokens(
    model: AutoBertForMaskedLM, batches: MaskedBatches
) -> None:
    batch, loss = batches.batch("test", step=0), MaskedWords(model.config)
    logits = enlarged(model)(batch["input_ids"]).logits
    found = loss(batch, loss.items(batch), Step())(model)
    assert loss.items(batch) == {"mlm": int((batch["labels"] != -100).sum())}
    torch.testing.assert_close(found["mlm"], cross_entropy(logits.flatten(0, 1), batch["labels"].flatten()))


def test_pairs_are_added_to_them(config: AutoBertConfig, rows: torch.Tensor, tokenizer: BertTokenizer) -> None:
    model = enlarged(AutoBertForPreTraining(config))
    batch = PairBatches(rows, tokenizer, 8, 1, torch.arange(52) % 2).batch("test", step=0)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    out, loss = model(**inputs), MaskedWordsAndPairs(config)
    found = loss(batch, loss.items(batch), Step())(model)
    assert loss.items(batch) == {"mlm": int((batch["labels"] != -100).sum()), "nsp": 8}
    words = cross_entropy(out.prediction_logits.flatten(0, 1), batch["labels"].flatten())
    follows = cross_entropy(out.seq_relationship_logits, batch["next_sentence_label"])
    torch.testing.assert_close(found, {"mlm": words, "nsp": follows})
    torch.testing.assert_close(words + follows, model(**batch).loss)


def test_a_batch_without_a_labelled_word_teaches_nothing(
    model: AutoBertForMaskedLM, config: AutoBertConfig, rows: torch.Tensor, tokenizer: BertTokenizer
) -> None:
    """It is a short one, or of words that are all unknown; it used to be nan, "lower the learning rate"."""
    batch = PairBatches(rows, tokenizer, 8, 1, torch.arange(52) % 2).batch("test", step=0)
    batch["labels"] = torch.full_like(batch["labels"], -100)
    words = {name: batch[name] for name in ("input_ids", "labels")}
    found = MaskedWords(config)(words, {"mlm": 0}, Step())(model)
    assert found["mlm"].item() == 0
    found["mlm"].backward()
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)
    found = MaskedWordsAndPairs(config)(batch, {"mlm": 0, "nsp": 8}, Step())(AutoBertForPreTraining(config))
    assert found["mlm"].item() == 0 and found["nsp"].item() > 0


def test_logits_are_computed_at_labelled_positions_only(model: AutoBertForMaskedLM, batches: MaskedBatches) -> None:
    """While a loss is taken, and never else: also after an error."""
    shapes = []
    model.predictions.decoder.register_forward_hook(lambda module, inputs, out: shapes.append(out.shape[:-1]))
    batch, loss = batches.batch("test", step=0), MaskedWords(model.config)
    labelled = loss.items(batch)["mlm"]
    loss(batch, loss.items(batch), Step())(model)
    loss.score(batch)(model)
    model(batch["input_ids"])
    assert shapes == [(labelled,), (labelled,), (8, 20)]
    with pytest.raises(ZeroDivisionError), sparse_prediction(model.config):
        assert model.config.sparse_prediction
        raise ZeroDivisionError
    assert model.config.sparse_prediction is False


def test_the_floor_is_that_of_the_text(config: AutoBertConfig, batches: MaskedBatches) -> None:
    text = Text(batches.tokenizer, batches, batches.held_out(8), floor=math.e, device=torch.device("cpu"))
    for kind in (MaskedWords, MaskedWordsAndPairs):
        loss = kind(config)
        assert loss.floors(text) == {"floor": math.e}
        assert loss.error(AutoBertForMaskedLM(config), text) is None
        assert not [*loss.parameters()]
