"""What several processes say to each other, as far as one process can tell; tests/test_two_processes.py has two."""

import warnings

import pytest

from autobert_hf.lab.training.team import is_lost_process, warn_of_missing_processes


def test_a_lost_process_is_told_from_other_errors():
    gloo = RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    assert is_lost_process(gloo)
    assert not is_lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize(("size", "warns"), [(None, True), ("2", False)])
def test_an_address_without_a_team_is_noticed(monkeypatch, size, warns):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size:
        monkeypatch.setenv("WORLD_SIZE", size)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warn_of_missing_processes()
    assert [str(w.message)[:16] for w in seen] == (["accelerate launc"] if warns else [])
