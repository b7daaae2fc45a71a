"""Pipelines take our folders by name alone and say what the networks say, for one text as for padded batches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizer, PreTrainedModel, pipeline

from autobert_hf import (
    AutoBertForCausalLM,
    AutoBertForMaskedLM,
    AutoBertForSequenceClassification,
    AutoBertForTokenClassification,
    AutoBertModel,
)

from .shapes import build


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "the", "a", "this", "cat", "dog", "sat", "ran", "on", "mat", ".", "about", "nature"]
TEXTS = ["the cat sat", "the dog ran on the mat . a cat sat on a mat ."]
NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}

Save = Callable[..., tuple[str, Callable[[str], torch.Tensor]]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a network and its tokenizer; gives the folder, and the network's first output for a text."""

    def save(head: type[PreTrainedModel], **overrides: Any) -> tuple[str, Callable[[str], torch.Tensor]]:
        shape = "mixed_decoder" if head is AutoBertForCausalLM else "autobert_zero"
        model = build(head, shape, vocab_size=len(WORDS), **overrides)
        model.save_pretrained(tmp_path)
        tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
        tokenizer.save_pretrained(tmp_path)
        return str(tmp_path), lambda text: model(**tokenizer(text, return_tensors="pt"))[0][0].detach()

    return save


@pytest.mark.parametrize("batch_size", [1, 2])
def test_fill_mask(save: Save, batch_size: int) -> None:
    folder, logits = save(AutoBertForMaskedLM)
    texts = [text.replace("cat", "[MASK]") for text in TEXTS]
    for text, found in zip(texts, pipeline("fill-mask", folder)(texts, batch_size=batch_size), strict=True):
        expected = logits(text)[1 + text.split().index("[MASK]")].softmax(-1)
        assert found[0]["token"] == expected.argmax()
        assert found[0]["score"] == pytest.approx(expected.max().item(), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_text_classification(save: Save, batch_size: int) -> None:
    folder, logits = save(AutoBertForSequenceClassification, num_labels=3)
    results = pipeline("text-classification", folder)(TEXTS, batch_size=batch_size)
    for text, found in zip(TEXTS, results, strict=True):
        expected = logits(text).softmax(-1)
        assert found["label"] == f"LABEL_{expected.argmax()}"
        assert found["score"] == pytest.approx(expected.max().item(), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_token_classification(save: Save, batch_size: int) -> None:
    folder, logits = save(AutoBertForTokenClassification, num_labels=3)
    results = pipeline("token-classification", folder)(TEXTS, batch_size=batch_size)
    for text, found in zip(TEXTS, results, strict=True):
        best = logits(text)[1:-1].argmax(-1)
        expected = [(word, f"LABEL_{label}") for word, label in zip(text.split(), best, strict=True)]
        assert [(entry["word"], entry["entity"]) for entry in found] == expected


@pytest.mark.parametrize("batch_size", [1, 2])
def test_feature_extraction(save: Save, batch_size: int) -> None:
    folder, states = save(AutoBertModel)
    results = pipeline("feature-extraction", folder)(TEXTS, batch_size=batch_size, return_tensors=True)
    for text, found in zip(TEXTS, results, strict=True):
        expected = states(text)
        torch.testing.assert_close(found[0, : len(expected)], expected, atol=1e-5, rtol=1e-5)


def test_zero_shot_classification(save: Save) -> None:
    folder, logits = save(AutoBertForSequenceClassification, id2label=NLI, label2id={v: k for k, v in NLI.items()})
    classify = pipeline("zero-shot-classification", folder)
    found = classify(TEXTS[0], candidate_labels=["nature", "mat"], hypothesis_template="about {}", batch_size=2)
    tokenizer = classify.tokenizer
    entailed = []
    for label in found["labels"]:
        with torch.no_grad():
            pair = tokenizer(TEXTS[0], f"about {label}", return_tensors="pt")
            entailed.append(classify.model(**pair).logits[0, 2])
    assert set(found["labels"]) == {"nature", "mat"}
    torch.testing.assert_close(torch.tensor(found["scores"]), torch.stack(entailed).softmax(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_text_generation(save: Save, batch_size: int) -> None:
    folder, _ = save(AutoBertForCausalLM)
    generate = pipeline("text-generation", folder)
    results = generate(TEXTS, batch_size=batch_size, max_new_tokens=5, do_sample=False, return_full_text=False)
    for text, found in zip(TEXTS, results, strict=True):
        ids = generate.tokenizer(text, return_tensors="pt").input_ids
        expected = generate.model.generate(ids, max_new_tokens=5, do_sample=False)[0, ids.shape[1] :]
        assert found[0]["generated_text"] == generate.tokenizer.decode(expected, skip_special_tokens=True)
