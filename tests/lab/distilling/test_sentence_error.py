"""Models beside each other as sentence encoders: no map, no width, no loss."""

import pytest
import torch

from autobert_hf import AutoBertModel
from autobert_hf.lab.distilling.sentence_error import sentence_errors
from autobert_hf.lab.distilling.teacher import Teacher

from ..teaching import batch


class Answering(torch.nn.Module):
    """An encoder that gives other hidden states than the one inside."""

    def __init__(self, model: torch.nn.Module, change: object) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.change = change

    def forward(self, **batch: torch.Tensor) -> object:
        out = self.model(**batch)
        out.last_hidden_state = self.change(out.last_hidden_state)
        return out


def test_it_is_the_mean_squared_difference_of_cosines(teacher: Teacher, student: AutoBertModel) -> None:
    """By hand; the size of hidden states does not matter, their direction does."""
    batches = [batch(seed) for seed in range(3)]
    models = {"itself": teacher.model, "student": student.train()}
    models["longer"] = Answering(teacher.model, lambda hidden: 3 * hidden)
    models["moved"] = Answering(teacher.model, lambda hidden: hidden + 1)
    found = sentence_errors(models, teacher, batches)
    assert found["itself"] < 1e-10 and found["longer"] < 1e-10
    assert found["moved"] > 1e-4
    assert not student.training

    def cosines(model: torch.nn.Module, rows: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden, mask = model(**rows).last_hidden_state, rows["attention_mask"]
        means = [row[: int(length)].mean(0) for row, length in zip(hidden, mask.sum(1), strict=True)]
        unit = torch.nn.functional.normalize(torch.stack(means), dim=-1)
        return unit @ unit.T

    with torch.no_grad():
        errors = [(cosines(student, rows) - cosines(teacher.model, rows)).square().mean().item() for rows in batches]
    assert found["student"] == pytest.approx(sum(errors) / 3, rel=1e-4)
