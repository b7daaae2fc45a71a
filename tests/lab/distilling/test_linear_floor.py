"""How far a network without any mixing of tokens gets."""

import pytest
import torch

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.distilling.linear_floor import linear_floor, relative_error
from autobert_hf.lab.distilling.teacher import Teacher

from ..teaching import SIZES, batch, enlarged


def test_it_is_zero_for_a_teacher_that_does_not_mix(teacher: Teacher) -> None:
    skips = {index: {"skip": ["mixer", "feed_forward"]} for index in (0, 1)}
    bare = enlarged(AutoBertModel(AutoBertConfig(**SIZES, per_layer_config=skips)))
    batches = [batch(seed) for seed in range(8)]
    assert linear_floor(bare, batches[:6], batches[6:]) < 1e-3
    assert linear_floor(teacher.model, batches[:6], batches[6:]) > 0.05


def test_an_error_is_over_the_variance_of_all_rows_together() -> None:
    """However they are cut into batches; that of the mean is 1."""
    wanted = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5
    found = wanted + 0.1
    expected = 0.01 / wanted.var(0, correction=0).mean().item()
    for ends in ((30,), (1, 30), (7, 19, 30)):
        parts = [slice(start, end) for start, end in zip((0, *ends[:-1]), ends, strict=True)]
        assert relative_error((found[part], wanted[part]) for part in parts) == pytest.approx(expected, rel=1e-4)
    assert relative_error([(wanted.mean(0).expand(30, 4), wanted)]) == pytest.approx(1)
