"""From files to rows once; the second start of a run reads what the first one prepared, and makes batches of it."""

import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertTokenizer, PreTrainedTokenizerFast

from autobert_hf.lab.data import source as module
from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.corpus import open_text, prepare, row_tables
from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.data.sentence_pairs import PairBatches
from autobert_hf.lab.data.single_texts import TextBatches
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import split_documents, unigram_floor, vocabulary_size
from autobert_hf.records.json_files import read_record


DOCUMENTS = corpus(80, seed=0)
NOTHING = Source((), (), "", "", vocab_size=200, length=16, seed=0)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(DOCUMENTS))
    return str(path)


@pytest.fixture
def source(text: str) -> Source:
    return replace(NOTHING, train_files=[text])


def opened(source: Source, folder: Path, batch_size: int = 4, held_out_rows: int = 8, seed: int = 3) -> Text:
    """As every process of a run opens it."""
    prepare(source, folder)
    return open_text(source, folder, batch_size, held_out_rows, seed, torch.device("cpu"))


def rows_of(folder: Path, side: str) -> RowFiles:
    return RowFiles(row_tables(folder, side), pad_id=0)


def whole(rows: RowFiles) -> torch.Tensor:
    return rows[torch.arange(len(rows))]


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same(one: Text, other: Text) -> bool:
    rows = torch.equal(whole(one.train.rows), whole(other.train.rows))
    held_out = all(map(equal, one.held_out, other.held_out)) and len(one.held_out) == len(other.held_out)
    words = one.tokenizer.get_vocab() == other.tokenizer.get_vocab()
    known = one.floor == other.floor and one.facts == other.facts
    return rows and held_out and words and known and equal(one.stream("a")(5), other.stream("a")(5))


def test_inputs_are_named_without_their_folders(source: Source, text: str, tmp_path: Path) -> None:
    train = {"train": {"text.txt": sha256(Path(text).read_bytes()).hexdigest()}}
    assert source.inputs() == train
    assert replace(NOTHING, dataset="some/set").inputs() == {"dataset": {"some/set": ""}}
    assert list(NOTHING.inputs()) == ["built-in text"]
    other = tmp_path / "held-out.txt"
    other.write_text("x")
    held_out = {"validation": {"held-out.txt": sha256(b"x").hexdigest()}}
    assert replace(source, validation_files=[str(other)]).inputs() == train | held_out
    both = replace(NOTHING, validation_files=[str(other)], dataset="some/set").inputs()
    assert both == held_out | {"dataset": {"some/set": ""}}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("x")
    here = replace(NOTHING, dataset=str(tmp_path / "other")).inputs()["dataset"]
    assert here == {"other/a.txt": sha256(b"x").hexdigest()}


def test_two_files_of_one_name_are_told_apart_or_refused(source: Source, text: str, tmp_path: Path) -> None:
    """Else a change of the first one would go unnoticed."""
    other = tmp_path / "other" / "text.txt"
    other.parent.mkdir()
    other.write_text("something else")
    with pytest.raises(TextError, match="Two of the files are called text.txt.*rename one"):
        replace(source, train_files=[text, str(other)]).inputs()
    both = replace(source, validation_files=[str(other)]).inputs()
    assert both["train"].keys() == both["validation"].keys() and both["train"] != both["validation"]
    assert len(replace(source, train_files=[text, text]).inputs()["train"]) == 1


def test_files_in_folders_are_named_by_their_places(source: Source, tmp_path: Path) -> None:
    for name in ("in/a.txt", "in/deep/a.txt", "in/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    inputs = replace(source, train_files=[str(tmp_path / "in")]).inputs()
    assert inputs["train"] == {name: sha256(name.encode()).hexdigest() for name in ("in/a.txt", "in/deep/a.txt")}


def test_a_file_that_is_not_there(source: Source, tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"missing\.txt does not exist: check the path"):
        replace(source, validation_files=[str(tmp_path / "missing.txt")]).inputs()


def test_files_and_a_data_set(source: Source) -> None:
    with pytest.raises(TextError, match="Both --train-file and --dataset were given: choose one"):
        replace(source, dataset="some/set").inputs()


def told(rows: RowFiles) -> list[int]:
    """The tokens of packed rows without [CLS] and [SEP]."""
    return whole(rows)[:, 1:-1].flatten().tolist()


def is_start_of(found: list[int], documents: list[str], text: Text) -> bool:
    """All but what fills no row."""
    expected = [token for document in documents for token in text.tokenizer.encode(document, add_special_tokens=False)]
    return found == expected[: len(found)] and 0 <= len(expected) - len(found) < 14


def test_held_out_documents_are_others_or_those_of_the_validation_file(source: Source, tmp_path: Path) -> None:
    """Up to one chunk of text they are one in twenty of all documents."""
    text = opened(source, tmp_path / "split")
    for side, documents in zip(("train", "held_out"), split_documents(DOCUMENTS, seed=0), strict=True):
        assert is_start_of(told(rows_of(tmp_path / "split", side)), documents, text)
    other = tmp_path / "held-out.txt"
    other.write_text("Seen by nobody. " * 20)
    text = opened(replace(source, validation_files=[str(other)]), tmp_path / "given")
    assert is_start_of(told(rows_of(tmp_path / "given", "held_out")), [other.read_text()], text)
    assert is_start_of(told(rows_of(tmp_path / "given", "train")), DOCUMENTS, text)


def test_the_built_in_text_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUILTIN_DOCUMENTS", 40)
    documents = [*NOTHING.documents()]
    assert len(documents) == 40
    assert [*NOTHING.documents()] == documents
    assert [*replace(NOTHING, seed=1).documents()] != documents


def test_rows_are_packed_text_and_the_floor_is_theirs(source: Source, tmp_path: Path) -> None:
    found = opened(source, tmp_path)
    train, held_out = (whole(rows_of(tmp_path, side)) for side in ("train", "held_out"))
    assert train.shape[1] == held_out.shape[1] == 16
    assert len(train) > 10 * len(held_out)
    assert torch.equal(whole(found.train.rows), train)
    first = split_documents(DOCUMENTS, seed=0)[0][0]
    assert found.tokenizer.decode(train[0][1:-1])[:10] == first.lower()[:10]
    assert found.floor == floor_of(tmp_path, found)
    assert found.facts["train_rows"] == len(train)
    assert found.facts["held_out_rows"] == len(held_out)
    assert found.facts["train_tokens"] == train.numel()


def floor_of(folder: Path, text: Text) -> float:
    counts = [rows_of(folder, side).counts(len(text.tokenizer)) for side in ("train", "held_out")]
    return unigram_floor(*counts, text.tokenizer.all_special_ids)


def test_held_out_batches_are_the_first_held_out_rows(source: Source, tmp_path: Path) -> None:
    """Of a text with fewer rows than a batch they are one smaller batch."""
    held_out = rows_of_batches(opened(source, tmp_path, batch_size=4, held_out_rows=6).held_out)
    assert torch.equal(held_out, whole(rows_of(tmp_path, "held_out"))[:6])
    everything = len(rows_of(tmp_path, "held_out"))
    (one,) = opened(source, tmp_path, batch_size=everything + 1, held_out_rows=1000).held_out
    assert len(one["input_ids"]) == everything
    assert opened(source, tmp_path, batch_size=everything + 1).train.batch_size == everything + 1


def rows_of_batches(batches: list[Batch]) -> torch.Tensor:
    """Before they were masked."""
    return torch.cat([torch.where(b["labels"] == -100, b["input_ids"], b["labels"]) for b in batches])


def test_a_batch_depends_on_purpose_step_and_seed(source: Source, tmp_path: Path) -> None:
    text = opened(source, tmp_path)
    stream = text.stream("final")
    assert stream.tokens_per_batch == 4 * 16
    assert equal(stream(2), opened(source, tmp_path).stream("final")(2))
    others = [stream(3), text.stream("round", 0)(2), text.stream("round", 1)(2), text.with_seed(4).stream("final")(2)]
    others.append(opened(source, tmp_path, seed=4).stream("final")(2))
    assert not any(equal(stream(2), other) for other in others)
    assert not equal(others[1], others[2])


def test_another_order_asks_the_same_questions(source: Source, tmp_path: Path) -> None:
    text = opened(source, tmp_path)
    other = text.with_seed(11)
    assert other.train.seed == 11 != text.train.seed
    assert same(text, replace(other, train=text.train))


def test_some_batches_have_a_purpose_of_their_own(source: Source, tmp_path: Path) -> None:
    text = opened(source, tmp_path)
    some = text.fitting_batches("order", 3)
    assert all(equal(batch, text.stream("order")(step)) for step, batch in enumerate(some))
    assert len(some) == 3
    assert not equal(some[0], text.fitting_batches("ridge", 1)[0])
    assert {tensor.device.type for batch in text.fitting_batches("floor", 2) for tensor in batch.values()} == {"cpu"}


@pytest.mark.parametrize(("kind", "made"), [("packed", MaskedBatches), ("pairs", PairBatches), ("texts", TextBatches)])
def test_rows_are_of_the_kind_that_a_loss_reads(source: Source, tmp_path: Path, kind: str, made: type) -> None:
    """The second opening finds the same, and of pairs which of them are random."""
    asked = replace(source, rows=kind, length=32)
    first, second = opened(asked, tmp_path), opened(asked, tmp_path)
    assert type(first.train) is type(second.train) is made
    assert same(first, second)
    guessing = math.log(2) if kind == "pairs" else 0.0
    assert first.floor == pytest.approx(floor_of(tmp_path, first) + guessing)
    if isinstance(first.train, PairBatches):
        assert torch.equal(first.train.is_random, rows_of(tmp_path, "train").labels)
        labels = torch.cat([batch["next_sentence_label"] for batch in first.held_out])
        assert torch.equal(labels, rows_of(tmp_path, "held_out").labels[: len(labels)])


def test_prepared_once_and_equal_everywhere(source: Source, text: str, tmp_path: Path) -> None:
    first = opened(source, tmp_path / "one")
    assert same(first, opened(source, tmp_path / "two"))
    Path(text).unlink()
    assert same(first, opened(source, tmp_path / "one"))


def test_a_row_that_no_text_fills(source: Source, text: str, tmp_path: Path) -> None:
    """Once there is more text the same folder serves."""
    Path(text).write_text("only\n\nthree words")
    with pytest.raises(
        TextError, match="The training text is too short for one row of 16, which needs at least 14 tok"
    ):
        prepare(source, tmp_path / "one")
    Path(text).write_text("\n\n".join(DOCUMENTS))
    assert len(opened(source, tmp_path / "one").held_out[0]["input_ids"]) == 4
    other = tmp_path / "held-out.txt"
    other.write_text("short")
    with pytest.raises(TextError, match="The held-out text is too short for one row of 16"):
        prepare(replace(source, validation_files=[str(other)]), tmp_path / "two")


def test_one_document_cannot_be_held_out_from(source: Source, text: str, tmp_path: Path) -> None:
    Path(text).write_text("only one")
    with pytest.raises(TextError, match="There is only one document"):
        prepare(source, tmp_path / "one")


def test_the_share_of_unknown_words(source: Source, text: str, tmp_path: Path) -> None:
    known = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "known"])}
    BertTokenizer(vocab=known).save_pretrained(tmp_path / "tokenizer")
    Path(text).write_text("\n\n".join(["known known known strange"] * 100))
    found = opened(replace(source, tokenizer=str(tmp_path / "tokenizer"), length=6), tmp_path / "text")
    assert found.facts["unknown"] == 0.25
    assert str(found) == "Text: 95 rows of 6 tokens, 25.0% unknown words."
    assert read_record(tmp_path / "text/text.json") == found.facts
    assert opened(source, tmp_path / "trained").facts["unknown"] == 0


def test_a_tokenizer_without_an_unknown_word(source: Source, tmp_path: Path) -> None:
    tokenizer = opened(source, tmp_path / "one").tokenizer
    tokenizer.unk_token = None
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert opened(replace(source, tokenizer=str(tmp_path / "tokenizer")), tmp_path / "two").facts["unknown"] == 0


def test_texts_of_their_own_lengths_are_told_as_such(source: Source, tmp_path: Path) -> None:
    text = opened(replace(source, rows="texts"), tmp_path)
    assert str(text).startswith("Text: 76 rows of 16 tokens, ")
    text = opened(replace(source, rows="texts", length=500), tmp_path / "long")
    assert str(text).startswith(f"Text: 76 rows of at most {max(text.train.lengths)} tokens, ")


def test_a_tokenizer_that_is_given(source: Source, tmp_path: Path) -> None:
    trained = opened(source, tmp_path / "one").tokenizer
    trained.save_pretrained(tmp_path / "tokenizer")
    given = replace(source, tokenizer=str(tmp_path / "tokenizer"), vocab_size=7)
    again = opened(given, tmp_path / "two")
    assert again.facts["tokenizer"] == {} and str(again).endswith("0.0% unknown words.")
    made = opened(source, tmp_path / "one")
    assert same(again, replace(made, facts={**made.facts, "tokenizer": {}}))


def test_a_vocabulary_with_holes(source: Source, text: str, tmp_path: Path) -> None:
    """Its size is the largest id + 1, and what is not there is no word of the floor."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    Path(text).write_text("\n\n".join(["a a b a a b"] * 80))
    found = []
    for step in (1, 3):
        tokenizer = BertTokenizer(vocab={word: step * index for index, word in enumerate(words)})
        tokenizer.save_pretrained(tmp_path / f"tokenizer{step}")
        given = replace(source, tokenizer=str(tmp_path / f"tokenizer{step}"), length=6)
        found.append(opened(given, tmp_path / f"text{step}"))
    assert found[0].floor == pytest.approx(found[1].floor)
    assert vocabulary_size(found[1].tokenizer) == 19 and found[1].facts["unknown"] == 0


def test_a_tokenizer_of_decoders_serves_for_next_words(source: Source, tmp_path: Path) -> None:
    """Like GPT-2's: bytes, and one mark at both ends of a text, which is its unknown word too."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<end>"], initial_alphabet=alphabet)
    backend.train_from_iterator(DOCUMENTS, trainer)
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<end>")
    PreTrainedTokenizerFast(tokenizer_object=backend, **end).save_pretrained(tmp_path / "tokenizer")
    given = replace(source, tokenizer=str(tmp_path / "tokenizer"), rows="unmasked")
    text = opened(given, tmp_path / "text")
    batch = text.stream("final")(0)
    assert batch["input_ids"].shape == (4, 16)
    assert batch["input_ids"][:, [0, -1]].eq(0).all() and batch["input_ids"][:, 1:-1].ne(0).all()
    assert torch.equal(batch["labels"], batch["input_ids"].masked_fill(batch["input_ids"] == 0, -100))
    assert text.tokenizer.pad_token == "<end>" and text.facts["unknown"] == 0
    assert 2 < text.floor < math.log(300)
    with pytest.raises(TextError, match="has no pad_token: masked-language training needs one"):
        opened(replace(given, rows="packed"), tmp_path / "masked")


def test_next_words_have_the_rows_and_the_floor_of_masked_words(source: Source, tmp_path: Path) -> None:
    masked, words = opened(source, tmp_path / "one"), opened(replace(source, rows="unmasked"), tmp_path / "two")
    assert torch.equal(whole(masked.train.rows), whole(words.train.rows))
    assert words.floor == masked.floor
    assert torch.equal(words.held_out[0]["input_ids"], whole(rows_of(tmp_path / "two", "held_out"))[:4])


def test_a_tokenizer_without_a_mask(source: Source, tmp_path: Path) -> None:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])}
    BertTokenizer(vocab=words, mask_token=None).save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(TextError, match="tokenizer has no mask_token: masked-language training needs one. Leave"):
        prepare(replace(source, tokenizer=str(tmp_path / "tokenizer")), tmp_path / "text")


def test_a_folder_without_a_tokenizer(source: Source, tmp_path: Path) -> None:
    """transformers makes one of special tokens alone."""
    BertConfig().save_pretrained(tmp_path / "model")
    with pytest.raises(TextError, match="The tokenizer .*model has no words: there is no tokenizer.json"):
        prepare(replace(source, tokenizer=str(tmp_path / "model")), tmp_path / "out")


def test_a_tokenizer_that_is_not_there(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "empty"), "./no/such/folder"):
        with pytest.raises(
            TextError, match=f"The tokenizer {name} cannot be loaded .*: check its name or folder"
        ) as it:
            prepare(replace(source, tokenizer=name), tmp_path / "text")
        assert "\n" not in str(it.value)
