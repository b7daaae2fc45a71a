"""What a student is compared with its teacher by, written out."""

import pytest
import torch
from torch.nn import functional

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.distilling.sentence_error import sentence_errors
from autobert_hf.lab.distilling.sentence_vectors import SentenceVectors
from autobert_hf.lab.distilling.signals import DistillationError, signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.distillation import SentencesAndStates
from autobert_hf.lab.losses.relation_terms import RelationTerm
from autobert_hf.lab.losses.teacher_terms import score_loss

from ..teaching import NO_DROPOUT, SIZES, batch, enlarged


def test_scores_and_relations_by_hand(teacher: Teacher, student: AutoBertModel) -> None:
    """One sentence without padding."""
    rows = {name: value[:1] for name, value in batch().items()}
    with torch.no_grad():
        ours, theirs = signals(student, rows), teacher.signals(rows)
        scores = [
            one.attention.query @ one.attention.key.mT / one.attention.query.shape[-1] ** 0.5 for one in (ours, theirs)
        ]
        torch.testing.assert_close(score_loss(ours, theirs), (scores[0] - scores[1]).square().mean())
        expected = torch.zeros(())
        for name in ("query", "key", "value"):
            logs = []
            for one in (theirs, ours):
                joined = getattr(one.attention, name)[0].transpose(0, 1).reshape(9, -1)
                parts = joined.view(9, 2, -1).transpose(0, 1)
                logs.append((parts @ parts.mT / parts.shape[-1] ** 0.5).log_softmax(-1))
            expected += (logs[0].exp() * (logs[0] - logs[1])).sum(-1).mean()
        term = RelationTerm(2)
        found = term.loss(*(term.of(one.attention, one.real) for one in (ours, theirs)), ours.real)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_sentences_are_compared_by_cosines_with_the_teachers_pooling(
    teacher: Teacher, student: AutoBertModel, mode: str
) -> None:
    teacher.sentences = SentenceVectors((mode,))
    rows = batch()
    with torch.no_grad():
        ours, theirs = signals(student, rows), teacher.signals(rows)
        cosines = []
        for one in (ours, theirs):
            real = [h[m] for h, m in zip(one.hidden, rows["attention_mask"].bool(), strict=True)]
            pooled = torch.stack([row.mean(0) if mode == "mean" else row[0] for row in real])
            unit = functional.normalize(pooled, dim=-1)
            cosines.append(unit @ unit.T)
    expected = (cosines[0] - cosines[1]).square().mean()
    assert expected > 1e-4
    found = SentencesAndStates(student.config, teacher).term("sentences", ours, theirs)
    torch.testing.assert_close(found, expected)
    errors = sentence_errors({"student": student}, teacher, [rows])
    assert errors["student"] == pytest.approx(expected.item(), rel=1e-4)


def test_what_cannot_be_compared_is_named(teacher: Teacher) -> None:
    sizes = SIZES | NO_DROPOUT | {"num_attention_heads": 3, "hidden_size": 15}
    fewer, theirs = signals(enlarged(AutoBertModel(AutoBertConfig(**sizes))), batch()), teacher.signals(batch())
    with pytest.raises(DistillationError, match="The student has 3 heads in its last layer, the teacher 4"):
        score_loss(fewer, theirs)
