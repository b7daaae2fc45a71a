"""From files to rows once; the second start of a run reads what the first one prepared, and makes batches of it."""

import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.data import corpus as module
from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.corpus import Source, open_text, prepare
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.sentence_pairs import PairBatches
from autobert_hf.lab.data.single_texts import TextBatches
from autobert_hf.lab.data.text import TextError, unigram_floor
from autobert_hf.records.files import read_tensors


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


def rows_of(folder: Path, side: str) -> torch.Tensor:
    return read_tensors(folder / "rows.safetensors")[0][side]


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same(one: Text, other: Text) -> bool:
    rows = torch.equal(one.train.rows, other.train.rows)
    held_out = all(map(equal, one.held_out, other.held_out)) and len(one.held_out) == len(other.held_out)
    words = one.tokenizer.get_vocab() == other.tokenizer.get_vocab()
    return rows and held_out and words and one.floor == other.floor and equal(one.stream("a")(5), other.stream("a")(5))


def test_inputs_are_named_without_their_folders(source: Source, text: str, tmp_path: Path) -> None:
    assert source.inputs() == {"text.txt": sha256(Path(text).read_bytes()).hexdigest()}
    assert replace(NOTHING, dataset="some/set").inputs() == {"dataset": "some/set"}
    assert list(NOTHING.inputs()) == ["built-in text"]
    other = tmp_path / "held-out.txt"
    other.write_text("x")
    assert set(replace(source, validation_files=[str(other)]).inputs()) == {"text.txt", "held-out.txt"}
    assert set(replace(NOTHING, validation_files=[str(other)], dataset="some/set").inputs()) == {
        "held-out.txt",
        "dataset",
    }


def test_two_files_of_one_name_are_told_apart_or_refused(source: Source, text: str, tmp_path: Path) -> None:
    """Else a change of the first one would go unnoticed."""
    other = tmp_path / "other" / "text.txt"
    other.parent.mkdir()
    other.write_text("something else")
    with pytest.raises(TextError, match="Two of the files are called text.txt.*rename one"):
        replace(source, validation_files=[str(other)]).inputs()
    assert len(replace(source, validation_files=[text]).inputs()) == 1


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_is_not_there(source: Source, tmp_path: Path, name: str) -> None:
    with pytest.raises(TextError, match="is not there, or is no file: check the path"):
        replace(source, validation_files=[str(tmp_path / name)]).inputs()


def test_files_and_a_data_set(source: Source) -> None:
    with pytest.raises(TextError, match="Both --train-file and --dataset were given: choose one"):
        replace(source, dataset="some/set").inputs()


def test_held_out_documents_are_others_or_those_of_the_validation_file(source: Source, tmp_path: Path) -> None:
    train, held_out = source.documents()
    assert len(held_out) == 4
    assert sorted(train + held_out) == sorted(DOCUMENTS)
    other = tmp_path / "held-out.txt"
    other.write_text("Seen by nobody.")
    assert replace(source, validation_files=[str(other)]).documents() == (DOCUMENTS, ["Seen by nobody."])


def test_the_built_in_text_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUILTIN_DOCUMENTS", 40)
    train, held_out = NOTHING.documents()
    assert (len(train), len(held_out)) == (38, 2)
    assert NOTHING.documents() == (train, held_out)
    assert replace(NOTHING, seed=1).documents() != (train, held_out)


def test_rows_are_packed_text_and_the_floor_is_theirs(source: Source, tmp_path: Path) -> None:
    found = opened(source, tmp_path)
    train, held_out = (rows_of(tmp_path, side) for side in ("train", "held_out"))
    assert train.shape[1] == held_out.shape[1] == 16
    assert len(train) > 10 * len(held_out)
    assert torch.equal(found.train.rows, train)
    assert found.tokenizer.decode(train[0][1:-1])[:10] == source.documents()[0][0].lower()[:10]
    assert found.floor == unigram_floor(train, held_out, len(found.tokenizer), found.tokenizer.all_special_ids)


def test_held_out_batches_are_the_first_held_out_rows(source: Source, tmp_path: Path) -> None:
    """Of a text with fewer rows than a batch they are one smaller batch."""
    held_out = rows_of_batches(opened(source, tmp_path, batch_size=4, held_out_rows=6).held_out)
    assert torch.equal(held_out, rows_of(tmp_path, "held_out")[:6])
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
    words = unigram_floor(
        rows_of(tmp_path, "train"),
        rows_of(tmp_path, "held_out"),
        len(first.tokenizer),
        first.tokenizer.all_special_ids,
    )
    guessing = math.log(2) if kind == "pairs" else 0.0
    assert first.floor == pytest.approx(words + guessing)
    if isinstance(first.train, PairBatches):
        assert torch.equal(first.train.is_random, rows_of(tmp_path, "train_is_random"))
        labels = torch.cat([batch["next_sentence_label"] for batch in first.held_out])
        assert torch.equal(labels, rows_of(tmp_path, "held_out_is_random")[: len(labels)])


def test_prepared_once_and_equal_everywhere(source: Source, text: str, tmp_path: Path) -> None:
    first = opened(source, tmp_path / "one")
    assert same(first, opened(source, tmp_path / "two"))
    Path(text).unlink()
    assert same(first, opened(source, tmp_path / "one"))


def test_a_killed_preparation_starts_again(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_tensors", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(source, vocab_size=150), tmp_path / "one")
    assert same(opened(source, tmp_path / "one"), opened(source, tmp_path / "two"))


def test_a_tokenizer_that_is_given(source: Source, tmp_path: Path) -> None:
    trained = opened(source, tmp_path / "one").tokenizer
    trained.save_pretrained(tmp_path / "tokenizer")
    given = replace(source, tokenizer=str(tmp_path / "tokenizer"), vocab_size=7)
    assert same(opened(given, tmp_path / "two"), opened(source, tmp_path / "one"))


def test_a_tokenizer_without_a_mask(source: Source, tmp_path: Path) -> None:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])}
    BertTokenizer(vocab=words, mask_token=None).save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(TextError, match="tokenizer has no mask_token: masked-language training needs one. Leave"):
        prepare(replace(source, tokenizer=str(tmp_path / "tokenizer")), tmp_path / "text")


def test_a_tokenizer_that_is_not_there(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "empty"), "./no/such/folder"):
        with pytest.raises(
            TextError, match=f"The tokenizer {name} cannot be loaded .*: check its name or folder"
        ) as it:
            prepare(replace(source, tokenizer=name), tmp_path / "text")
        assert "\n" not in str(it.value)
