"""The best linear map between hidden states."""

import pytest
import torch

from autobert_hf.lab.distilling.ridge import ridge


def test_a_linear_map_is_found_and_the_variance_known() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = torch.randn(200, 5, generator=generator), torch.randn(3, 5), torch.randn(3)
    y = x @ weight.T + bias
    fitted = ridge([(x[:70], y[:70]), (x[70:], y[70:])], strength=1e-9)
    for found, true in zip(fitted.solve(), (weight, bias), strict=True):
        torch.testing.assert_close(found, true, atol=1e-4, rtol=1e-4)
    assert fitted.variance == pytest.approx(y.var(0, correction=0).mean().item(), rel=1e-5)
