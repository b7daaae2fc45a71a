"""A teacher is asked once for each batch, and what is remembered is what it says."""

import pytest
import torch
from transformers import BertConfig, BertModel

from autobert_hf.lab.distilling.teacher_cache import Answers
from autobert_hf.lab.losses.distillation import PAPER, SENTENCES, Batch, Distillation, signals


SIZES = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}


class Counted(BertModel):
    asked = 0

    def forward(self, *args: object, **kwargs: object) -> object:
        self.asked += 1
        return super().forward(*args, **kwargs)


@pytest.fixture
def teacher() -> Counted:
    torch.manual_seed(0)
    return Counted(BertConfig(**SIZES, num_hidden_layers=2), add_pooling_layer=False).eval()


def batch(seed: int, rows: int = 3, length: int = 8) -> Batch:
    words = torch.randint(1, 50, (rows, length), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(words)
    words[0, 5:] = mask[0, 5:] = 0
    return {"input_ids": words, "attention_mask": mask}


def test_the_answers_are_the_teachers(teacher: Counted) -> None:
    answers = Answers(teacher, attention=True)
    for seed in (0, 1, 0, 1):
        found, direct = answers(batch(seed)), signals(teacher, batch(seed))
        torch.testing.assert_close(found.hidden, direct.hidden, rtol=0, atol=0)
        assert found.attention is not None and direct.attention is not None
        torch.testing.assert_close(found.attention.scores, direct.attention.scores, rtol=0, atol=0)
        assert found.real.equal(direct.real) and not found.hidden.requires_grad
    assert teacher.asked == 4 + 2


def test_same_words_with_another_mask_are_another_batch(teacher: Counted) -> None:
    answers, padded = Answers(teacher, attention=False), batch(0)
    whole = padded | {"attention_mask": torch.ones_like(padded["input_ids"])}
    assert not answers(padded).hidden.equal(answers(whole).hidden)
    assert answers(padded).real.sum() < answers(whole).real.sum()
    assert teacher.asked == 2


def test_same_words_in_another_shape_are_another_batch(teacher: Counted) -> None:
    answers, words = Answers(teacher, attention=False), torch.arange(1, 17)
    assert answers({"input_ids": words.view(2, 8)}).hidden.shape == (2, 8, 16)
    assert answers({"input_ids": words.view(4, 4)}).hidden.shape == (4, 4, 16)


@pytest.mark.parametrize("attention", [True, False])
def test_memory_has_an_end(teacher: Counted, attention: bool) -> None:
    states = 3 * 8 * 16 * 4
    answers = Answers(teacher, attention, most=2 * states if not attention else 5 * states)
    for seed in (0, 1, 0, 1):
        answers(batch(seed))
    assert teacher.asked == 3  # the first batch is remembered, for the second one nothing is left
    assert (answers(batch(0)).attention is not None) == attention


@pytest.mark.parametrize("terms", [PAPER, SENTENCES])
def test_students_learn_the_same(teacher: Counted, terms: dict[str, float]) -> None:
    student = BertModel(BertConfig(**SIZES, num_hidden_layers=1), add_pooling_layer=False).eval()
    answers = Answers(teacher, attention="scores" in terms)
    gradients = []
    for ask in (None, answers, answers):
        student.zero_grad()
        Distillation(teacher, 16, terms, ask=ask)(batch(0))(student).backward()
        gradients.append([p.grad.clone() for p in student.parameters() if p.grad is not None])
    assert teacher.asked == 2
    for direct, first, remembered in zip(*gradients, strict=True):
        assert direct.equal(first) and direct.equal(remembered)
