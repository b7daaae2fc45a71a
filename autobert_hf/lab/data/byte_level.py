"""A byte-level tokenizer, which knows every text, and the measure of how much of a text WordPiece does not know."""

import unicodedata
from collections.abc import Iterator, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from autobert_hf.lab.data.text import SPECIAL_TOKENS


# GPT-2's cut of a text into words, but marks belong to the letters before them: its own cut would divide each word of
# Hindi or Thai at every vowel sign.
WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def train_byte_level(
    documents: Sequence[str], vocab_size: int, model_max_length: int, cased: bool
) -> PreTrainedTokenizerBase:
    """
    Byte-pair encoding of UTF-8 with the special tokens and the form of rows that BERT has. Letters keep their marks,
    and if `cased` their case. The vocabulary has at least the 256 bytes.
    """
    backend = Tokenizer(models.BPE())
    to_one_form = normalizers.NFC()
    backend.normalizer = to_one_form if cased else normalizers.Sequence([to_one_form, normalizers.Lowercase()])
    cut = pre_tokenizers.Split(Regex(WORDS), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(documents, trainer)
    rows = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), rows])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=model_max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(NAMES, SPECIAL_TOKENS, strict=True)),
    )


def unknown_share(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> float:
    """The share of the characters, white space left out, that stand in words which the tokenizer does not know."""
    unknown = total = 0
    for document, encoding in zip(documents, _encoded(documents, tokenizer), strict=True):
        total += len(document) - document.count(" ")
        for index, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            unknown += (end - start) * (index == tokenizer.unk_token_id)
    return unknown / max(total, 1)


def _encoded(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator:
    return iter(tokenizer.backend_tokenizer.encode_batch([*documents], add_special_tokens=False))


def mark_share(documents: Sequence[str]) -> float:
    """Marks that an uncased WordPiece strips (the accent of \u00e9, a vowel sign of Hindi), per letter."""
    marks = letters = 0
    for document in documents:
        for character in unicodedata.normalize("NFD", document):
            marks += unicodedata.category(character) == "Mn"
            letters += character.isalpha()
    return marks / max(letters, 1)
