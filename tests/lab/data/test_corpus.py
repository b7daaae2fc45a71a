"""From files to rows once; the second start of a run reads what the first one prepared."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf.lab.data import corpus as module
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.corpus import Corpus, Source, prepare
from autobert_hf.lab.data.text import TextError, unigram_floor


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


def same(one: Corpus, other: Corpus) -> bool:
    rows = torch.equal(one.train, other.train) and torch.equal(one.held_out, other.held_out)
    return rows and one.tokenizer.get_vocab() == other.tokenizer.get_vocab() and one.floor == other.floor


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
    found = prepare(source, tmp_path / "text")
    assert found.train.shape[1] == found.held_out.shape[1] == 16
    assert len(found.train) > 10 * len(found.held_out)
    assert found.tokenizer.decode(found.train[0][1:-1])[:10] == source.documents()[0][0].lower()[:10]
    special = found.tokenizer.all_special_ids
    assert found.floor == unigram_floor(found.train, found.held_out, len(found.tokenizer), special)


def test_prepared_once_and_equal_everywhere(source: Source, text: str, tmp_path: Path) -> None:
    first = prepare(source, tmp_path / "one")
    assert same(first, prepare(source, tmp_path / "two"))
    Path(text).unlink()
    assert same(first, prepare(source, tmp_path / "one"))


def test_a_killed_preparation_starts_again(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_tensors", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(replace(source, vocab_size=150), tmp_path / "one")
    assert same(prepare(source, tmp_path / "one"), prepare(source, tmp_path / "two"))


def test_a_tokenizer_that_is_given(source: Source, tmp_path: Path) -> None:
    trained = prepare(source, tmp_path / "one").tokenizer
    trained.save_pretrained(tmp_path / "tokenizer")
    given = replace(source, tokenizer=str(tmp_path / "tokenizer"), vocab_size=7)
    assert same(prepare(given, tmp_path / "two"), prepare(source, tmp_path / "one"))


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
