"""Texts of which WordPiece knows little get a tokenizer of bytes; which one was made, and why, is kept and told."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.byte_level import mark_share, train_byte_level, unknown_share
from autobert_hf.lab.data.corpus import open_text, prepare
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import SPECIAL_TOKENS, train_tokenizer
from autobert_hf.records.json_files import read_record


THAI = "กขคงจฉชซญฐดตถทธนบปผพมยรลวศสหอฮะาิีุูเแโ่้"
VIETNAMESE = "Tôi đã đọc quyển sách này rất nhiều lần"
HINDI = "मैं हिन्दी में लिख रहा हूँ"


def unspaced(number: int = 60) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(THAI, k=150)) for _ in range(number)]


def made_of(folder: Path, documents: list[str], **settings):
    (folder / "text.txt").write_text("\n\n".join(documents), encoding="utf-8")
    nothing = Source([str(folder / "text.txt")], (), "", "", vocab_size=400, length=16, seed=0)
    prepare(replace(nothing, **settings), folder / "text")
    return open_text(nothing, folder / "text", 2, 4, 0, torch.device("cpu"))


def test_a_script_without_spaces_gets_bytes_and_the_run_says_so(tmp_path: Path) -> None:
    text = made_of(tmp_path, unspaced())
    ids = text.tokenizer(unspaced()[0])["input_ids"]
    assert text.tokenizer.unk_token_id not in ids
    assert text.tokenizer.decode(ids, skip_special_tokens=True) == unspaced()[0]
    assert text.facts["unknown"] == 0 and text.facts["tokenizer"]["kind"] == "byte-level BPE"
    assert text.facts["tokenizer"]["unknown_to_wordpiece"] == pytest.approx(1, abs=0.01)
    why = "byte-level BPE, uncased, as WordPiece would not know 100% of the text."
    assert str(text).endswith(f"0.0% unknown words. Tokenizer of {len(text.tokenizer)} words: {why}")
    assert read_record(tmp_path / "text/text.json") == text.facts


def test_latin_text_keeps_the_tokenizer_that_it_had(tmp_path: Path) -> None:
    text = made_of(tmp_path, corpus(60, seed=0))
    assert text.facts["tokenizer"] == {
        "kind": "WordPiece",
        "cased": False,
        "unknown_to_wordpiece": 0.0,
        "marks_lost": 0.0,
    }
    assert str(text).endswith("Tokenizer of 400 words: WordPiece, uncased.")
    assert text.tokenizer("Hello")["input_ids"] == text.tokenizer("hello")["input_ids"]


@pytest.mark.parametrize("words", [VIETNAMESE, HINDI])
def test_marks_are_kept_by_a_cased_tokenizer(tmp_path: Path, words: str) -> None:
    for cased in (True, False):
        folder = tmp_path / str(cased)
        folder.mkdir()
        text = made_of(folder, [words] * 80, cased=cased)
        decoded = text.tokenizer.decode(text.tokenizer(words)["input_ids"], skip_special_tokens=True)
        assert (decoded == words) == cased
        assert (text.facts["tokenizer"]["marks_lost"] > 0.1) == (not cased)
        assert str(text).endswith(": WordPiece, cased." if cased else ": WordPiece, uncased.")


def test_shares_are_of_characters_and_of_letters() -> None:
    known = train_tokenizer(["ab cd"], 50)
    assert unknown_share(["ab xyz", "cd 1"], known) == pytest.approx(4 / 8)
    assert unknown_share([], known) == mark_share([]) == 0
    assert mark_share(["é e", "ab"]) == pytest.approx(1 / 4)


def test_bytes_are_the_same_each_time_and_have_berts_rows() -> None:
    made = [train_byte_level(unspaced(), 400, 32, cased=False) for _ in range(2)]
    assert made[0].get_vocab() == made[1].get_vocab() and len(made[0]) == 400
    assert made[0].convert_tokens_to_ids(SPECIAL_TOKENS) == [0, 1, 2, 3, 4]
    pair = made[0]("ABC x", "Düne")
    assert pair["input_ids"][0] == 2 and pair["input_ids"].count(3) == 2 and pair["token_type_ids"][-1] == 1
    assert made[0].decode(pair["input_ids"], skip_special_tokens=True) == "abc xdüne"
    assert len(train_byte_level(["a"], 8, 32, cased=True)) == 5 + 256


def test_a_word_is_not_cut_at_its_marks() -> None:
    made = train_byte_level([f"{HINDI} {HINDI}"] * 40, 600, 32, cased=False)
    assert len(made.tokenize(HINDI)) == len(HINDI.split())
    spans = made(HINDI, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert [HINDI[slice(*span)] for span in spans] == HINDI.split()


def test_bytes_load_without_us(tmp_path: Path) -> None:
    made = train_byte_level(unspaced(), 300, 32, cased=True)
    made.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "autobert"}')
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("ab", "c").data == made("ab", "c").data and again.model_max_length == 32
    program = "import sys; from transformers import AutoTokenizer as A; print(len(A.from_pretrained(sys.argv[1])))"
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "300", ran.stderr
