"""Pairs of texts: half of them follow one another, and a network can learn which."""

from dataclasses import replace

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForPreTraining
from autobert_hf.lab.data.batches import Stream
from autobert_hf.lab.data.sentence_pairs import PairBatches, pair_rows, sentences
from autobert_hf.lab.data.text import TextError
from autobert_hf.lab.losses.masked_words import MaskedWordsAndPairs
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer


def document(number: int) -> str:
    """Twelve sentences that count on from 12 * number, so that a token says where it stood."""
    return " ".join(f"w{(12 * number + word) % 55}!" for word in range(12))


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(55))]
DOCUMENTS = [document(number) for number in range(300)]


@pytest.fixture(scope="session")
def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={word: index for index, word in enumerate([*WORDS, "!"])})


@pytest.fixture(scope="session")
def pairs(tokenizer: BertTokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    return pair_rows(DOCUMENTS, tokenizer, 19, seed=0)


@pytest.fixture
def pair_batches(pairs: tuple[torch.Tensor, torch.Tensor], tokenizer: BertTokenizer) -> PairBatches:
    return PairBatches(pairs[0], tokenizer, 8, 1, pairs[1])


@pytest.fixture
def pair_model(config: AutoBertConfig) -> AutoBertForPreTraining:
    torch.manual_seed(0)
    config.vocab_size = 64
    model = AutoBertForPreTraining(config)
    with torch.no_grad():
        model.seq_relationship.weight.mul_(50)
    return model


def test_sentences() -> None:
    text = 'He came. "Who?" she asked (twice!) and 3.5 left… Mr. X said "No." Then nothing'
    assert sentences(text) == [
        "He came.",
        '"Who?"',
        "she asked (twice!)",
        "and 3.5 left… Mr.",
        'X said "No."',
        "Then nothing",
    ]


def test_a_pair_follows_in_its_document_or_comes_from_another(
    pairs: tuple[torch.Tensor, torch.Tensor], tokenizer: BertTokenizer
) -> None:
    rows, labels = pairs
    assert rows.shape[1] == 19 and labels.shape == rows.shape[:1]
    assert labels.float().mean().item() == pytest.approx(0.5, abs=0.05)
    follows: dict[int, list[bool]] = {0: [], 1: []}
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        (end, stop) = (place for place, token in enumerate(row) if token == tokenizer.sep_token_id)
        assert row[0] == tokenizer.cls_token_id and set(row[stop + 1 :]) <= {tokenizer.pad_token_id}
        first, second = ([token - 5 for token in part if token < 60] for part in (row[1:end], row[end + 1 : stop]))
        if second:  # else a last sentence, cut in its word and its mark
            follows[label].append((first[-1] + 1) % 55 == second[0])
    assert all(follows[0]) and len(follows[0]) > 100
    assert sum(follows[1]) < 0.05 * len(follows[1])


def test_lengths_do_not_give_the_answer_away(pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    rows, labels = pairs
    lengths = (rows != 0).sum(1).float()
    assert abs(lengths[labels == 0].mean() - lengths[labels == 1].mean()) < 1


def test_a_beginning_inside_a_sentence_does_not_give_the_answer_away(tokenizer: BertTokenizer) -> None:
    """Documents of one sentence each: B is always a second half, a random one too."""
    documents = [" ".join(f"w{word}" for word in range(start, start + 20)) for start in range(30)] * 10
    rows, labels = pair_rows(documents, tokenizer, 32, seed=0)
    assert labels.float().mean().item() == pytest.approx(0.5, abs=0.1)
    starts = torch.tensor([row[row.index(3) + 1] - 5 for row in rows.tolist()])
    assert (starts >= 10).all()
    assert ((rows != 0).sum(1) == 23).all()


def test_the_seed_decides(tokenizer: BertTokenizer, pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    again = pair_rows(DOCUMENTS, tokenizer, 19, seed=0)
    assert all(torch.equal(one, other) for one, other in zip(again, pairs, strict=True))
    other = pair_rows(DOCUMENTS, tokenizer, 19, seed=1)
    assert other[0].shape != pairs[0].shape or not torch.equal(other[0], pairs[0])


def test_long_sentences_are_cut_and_single_ones_halved(tokenizer: BertTokenizer) -> None:
    rows, labels = pair_rows(["w1 " * 50, "w2 w3", "w4"], tokenizer, 10, seed=0)
    assert len(rows) == 2, "a document of one token makes no pair"
    assert (rows[0] == tokenizer.sep_token_id).sum() == 2
    assert labels.tolist().count(1) + labels.tolist().count(0) == 2
    for seed in range(8):
        rows, labels = pair_rows(["w2 w3", "w5 w6"], tokenizer, 10, seed)
        if labels[0] == 0:
            assert tokenizer.decode(rows[0]) == "[CLS] w2 [SEP] w3 [SEP]" + " [PAD]" * 5
            break
    else:
        pytest.fail("eight random pairs in a row")


@pytest.mark.parametrize("padding", ["[UNK]", "[SEP]"])
def test_a_padding_token_that_also_stands_in_texts(tokenizer: BertTokenizer, padding: str) -> None:
    """Unknown words are attended to, and nothing behind the second [SEP] is."""
    shared = BertTokenizer(vocab=tokenizer.get_vocab(), pad_token=padding)
    rows, labels = pair_rows(["strange w2. w3 strange."] * 2 + ["w5 w6. w7 w8."], shared, 14, seed=0)
    batch = PairBatches(rows, shared, len(rows), 0, labels).mask(torch.arange(len(rows)), "test")
    ends = [[place for place, word in enumerate(row) if word == 3][1] for row in rows.tolist()]
    assert batch["attention_mask"].sum(1).tolist() == [end + 1 for end in ends]


@pytest.mark.parametrize("documents", [["w1. w2. w3."], ["w1 w2", "w3"]])
def test_one_document_is_too_few(tokenizer: BertTokenizer, documents: list[str]) -> None:
    with pytest.raises(TextError, match="Sentence pairs need two documents with two tokens at least"):
        pair_rows(documents, tokenizer, 10, seed=0)
    with pytest.raises(ValueError, match="need at least 5"):
        pair_rows(documents, tokenizer, 4, seed=0)


def test_batches_name_the_parts_and_ask_for_words_only(pair_batches: PairBatches) -> None:
    batch = pair_batches.batch("test", step=3)
    ids, types, real = batch["input_ids"], batch["token_type_ids"], batch["attention_mask"].bool()
    truth = torch.where(batch["labels"] == -100, ids, batch["labels"])
    assert torch.equal(truth == 0, ~real)
    assert (truth[batch["labels"] != -100] > 4).all()
    for row, kinds in zip(truth.tolist(), types.tolist(), strict=True):
        ends = [place for place, token in enumerate(row) if token == 3]
        assert kinds == [int(ends[0] < place <= ends[1]) for place in range(19)]
    index = {tuple(row): label for row, label in zip(pair_batches.rows.tolist(), pair_batches.is_random, strict=True)}
    assert batch["next_sentence_label"].tolist() == [index[tuple(row)] for row in truth.tolist()]
    assert all(torch.equal(tensor, pair_batches.batch("test", step=3)[name]) for name, tensor in batch.items())
    (held_out,) = pair_batches.held_out(5)
    assert torch.equal(held_out["next_sentence_label"], pair_batches.is_random[:5])
    assert pair_batches.tokens_per_batch == 8 * 19


def test_evaluation_is_the_sum_of_both_means(
    pair_model: AutoBertForPreTraining, pair_batches: PairBatches, team: Team
) -> None:
    (whole,) = replace(pair_batches, batch_size=20).held_out(20)
    parts = [{name: tensor[start:end] for name, tensor in whole.items()} for start, end in ((0, 3), (3, 20))]
    loss = MaskedWordsAndPairs(pair_model.config)
    with torch.no_grad():
        expected = pair_model.eval()(**whole).loss.item()
    assert HeldOut(loss, [whole], team)(pair_model) == pytest.approx(expected, rel=1e-5)
    assert HeldOut(loss, parts, team)(pair_model) == pytest.approx(expected, rel=1e-5)


def test_a_training_learns_both(pair_model: AutoBertForPreTraining, pair_batches: PairBatches, team: Team) -> None:
    loss = MaskedWordsAndPairs(pair_model.config)
    held_out = HeldOut(loss, pair_batches.held_out(16), team)
    before = held_out(pair_model.eval())
    recipe = Recipe(30, learning_rate=5e-3, shards=2)
    Trainer(pair_model, loss, lambda step, shard: [pair_model], recipe, team).run(Stream(pair_batches, ("test",)))
    assert held_out(pair_model.eval()) < before - 0.5
