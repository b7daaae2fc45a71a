"""What several processes say to each other; here they are threads, tests/test_two_processes.py has real ones."""

import warnings

import pytest
import torch
from torch import nn

from autobert_hf.lab.training.team import Team, is_lost_process, warn_of_missing_processes

from .together import together


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


def parameters(*gradients: float | None) -> list[nn.Parameter]:
    """Of sizes 1, 2, ...; where there is one, the gradient is the same number everywhere."""
    made = [nn.Parameter(torch.zeros(size + 1)) for size in range(len(gradients))]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = None if gradient is None else torch.full_like(parameter, gradient)
    return made


def test_gradients_are_summed_whatever_each_process_has_trained():
    """The first has trained what the second has not, and the other way round; what nobody has stays None."""
    given = [(1.0, 2.0, None, None), (10.0, None, 20.0, None)]

    def work(team: Team) -> list[list[float] | None]:
        own = parameters(*given[team.rank])
        team.sum_gradients(own)
        return [None if p.grad is None else p.grad.tolist() for p in own]

    assert together(2, work) == [[[11.0], [2.0, 2.0], [20.0, 20.0, 20.0], None]] * 2


def test_a_summed_gradient_is_a_tensor_of_its_own():
    """Views of one long vector would keep all of it alive, and change together."""

    def work(team: Team) -> set[int]:
        own = parameters(1.0, 2.0)
        team.sum_gradients(own)
        return {p.grad.untyped_storage().data_ptr() for p in own if p.grad is not None}

    assert [len(owners) for owners in together(2, work)] == [2, 2]


def test_whoever_is_alone_reduces_nothing(team):
    """Another process may be busy with a candidate of its own: waiting for it would take forever."""

    def work(team: Team) -> tuple[float, float, int, int, bool, list[str]]:
        alone = team.alone()
        (own,) = parameters(3.0 + team.rank)
        if team.rank == 0:
            alone.sum_gradients([own])
            alone.wait()
        total = alone.sum(torch.tensor(1.0)).item() if team.rank == 0 else 1.0
        return total, own.grad.item(), alone.size, alone.rank, alone.is_main, alone.gather_in_order(["mine"])

    assert together(2, work) == [(1.0, 3.0, 1, 0, True, ["mine"]), (1.0, 4.0, 1, 0, False, ["mine"])]
    assert (team.size, team.rank, team.is_main) == (1, 0, True)
    assert team.gather_in_order(["mine"]) == ["mine"]
