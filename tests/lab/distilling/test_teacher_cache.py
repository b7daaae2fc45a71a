"""A teacher is asked once for each batch, and what is remembered is what it says."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import BertConfig, BertModel

from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.distilling.signals import Signals, signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.distilling.teacher_cache import TeacherCache
from autobert_hf.lab.losses.distillation import Distillation, ScoresAndStates, SentencesAndStates
from autobert_hf.lab.losses.loss import Step


SIZES = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}


class Counted(BertModel):
    asked = 0

    def forward(self, *args: object, **kwargs: object) -> object:
        self.asked += 1
        return super().forward(*args, **kwargs)


@pytest.fixture
def model() -> Counted:
    torch.manual_seed(0)
    return Counted(BertConfig(**SIZES, num_hidden_layers=2), add_pooling_layer=False).eval()


def batch(seed: int, rows: int = 3, length: int = 8) -> Batch:
    words = torch.randint(1, 50, (rows, length), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(words)
    words[0, 5:] = mask[0, 5:] = 0
    return {"input_ids": words, "attention_mask": mask}


def asker(model: Counted, **limits: int) -> Callable[..., Signals]:
    cache = TeacherCache("cpu", **limits)

    @torch.no_grad()
    def ask(given: Batch, attention: bool = True) -> Signals:
        def found() -> Signals:
            return signals(model, given) if attention else replace(signals(model, given), attention=None)

        return cache(given, attention, found)

    return ask


def test_the_answers_are_the_teachers(model: Counted) -> None:
    answers = asker(model)
    for seed in (0, 1, 0, 1):
        found, direct = answers(batch(seed)), signals(model, batch(seed))
        torch.testing.assert_close(found.hidden, direct.hidden, rtol=0, atol=0)
        assert found.attention is not None and direct.attention is not None
        torch.testing.assert_close(found.attention.scores, direct.attention.scores, rtol=0, atol=0)
        assert found.real.equal(direct.real) and not found.hidden.requires_grad
    assert model.asked == 4 + 2


def test_same_words_with_another_mask_are_another_batch(model: Counted) -> None:
    answers, padded = asker(model), batch(0)
    whole = padded | {"attention_mask": torch.ones_like(padded["input_ids"])}
    assert not answers(padded).hidden.equal(answers(whole).hidden)
    assert answers(padded).real.sum() < answers(whole).real.sum()
    assert model.asked == 2


def test_same_words_in_another_shape_are_another_batch(model: Counted) -> None:
    answers, words = asker(model), torch.arange(1, 17)
    assert answers({"input_ids": words.view(2, 8)}).hidden.shape == (2, 8, 16)
    assert answers({"input_ids": words.view(4, 4)}).hidden.shape == (4, 4, 16)


def test_another_precision_is_another_answer(model: Counted) -> None:
    """A training in bf16 must not decide what an error in fp32 is compared with."""
    answers = asker(model)
    with torch.autocast("cpu", torch.bfloat16):
        low = answers(batch(0)).attention.query
        assert answers(batch(0)).attention.query.equal(low)
    found = answers(batch(0))
    assert (low.dtype, found.attention.query.dtype) == (torch.bfloat16, torch.float32)
    assert found.hidden.equal(signals(model, batch(0)).hidden)
    assert model.asked == 2 + 1


@pytest.mark.parametrize("attention", [True, False])
def test_memory_has_an_end(model: Counted, attention: bool) -> None:
    states = 3 * 8 * 16 * 4
    answers = asker(model, most=2 * states if not attention else 5 * states)
    for seed in (0, 1, 0, 1):
        answers(batch(seed), attention)
    assert model.asked == 3  # the first batch is remembered, for the second one nothing is left
    assert (answers(batch(0), attention).attention is not None) == attention


@pytest.mark.parametrize("kind", [ScoresAndStates, SentencesAndStates])
def test_students_learn_the_same(teacher: Teacher, kind: type[Distillation]) -> None:
    sizes = {"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 32}
    student = BertModel(BertConfig(**sizes, num_hidden_layers=1), add_pooling_layer=False).eval()
    rows, found = batch(0), []
    for _ in range(3):
        student.zero_grad()
        loss = kind(student.config, teacher)
        sum(loss(rows, loss.items(rows), Step())(student).values()).backward()
        found.append([p.grad.clone() for p in [*student.parameters(), *loss.parameters()] if p.grad is not None])
        teacher.remember()
    for direct, first, remembered in zip(*found, strict=True):
        assert direct.equal(first) and direct.equal(remembered)
