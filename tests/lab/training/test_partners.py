"""Processes, here threads, that notice that another one is lost."""

import socket
import threading
import time

import pytest

from autobert_hf.lab.training import partners
from autobert_hf.lab.training.partners import Partners

from ...searchers.several import OneOfSeveral, together


@pytest.fixture(autouse=True)
def impatient():
    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in (("BEAT", 0.05), ("QUIET", 1.0), ("GRACE", 0.2)):
            patch.setattr(partners, name, seconds)
        yield


class Failed(Exception):
    pass


class Silent(Partners):
    """A machine that is off: it closes no connection, and says nothing."""

    def _beat(self, parent):
        pass


def lost_in(size: int, ends: dict[int, str]) -> list[bool]:
    """Which processes noticed a loss within a few seconds, when some of them end as `ends` says."""

    def work(team: OneOfSeveral) -> bool:
        noticed, kind = threading.Event(), Silent if ends.get(team.rank) == "silent" else Partners
        watched = kind(team, noticed.set)
        try:
            with watched:
                if ends.get(team.rank) == "silent":
                    time.sleep(2.5)
                elif ends and team.rank not in ends:
                    assert noticed.wait(10), "nobody told"
                if ends:  # else all leave in peace
                    raise Failed
        except Failed:
            pass
        time.sleep(0.5)  # longer than GRACE
        return noticed.is_set()

    return together(size, work)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_who_leaves_in_peace_alarms_nobody(size):
    assert lost_in(size, {}) == [False] * size


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_an_exception_in_one_ends_the_others(rank):
    assert lost_in(3, {rank: "failed"}) == [one != rank for one in range(3)]


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_silent_is_lost(rank):
    assert lost_in(2, {rank: "silent"})[1 - rank]


def test_signs_of_life_keep_a_long_wait():
    def work(team):
        noticed = threading.Event()
        with Partners(team, noticed.set):
            time.sleep(3)  # three times QUIET
        return noticed.is_set()

    assert together(2, work) == [False, False]


def test_all_that_fail_alike_say_so_themselves():
    """Whoever sees the others go has the time to end by its own exception."""

    def work(team):
        noticed = threading.Event()
        with pytest.raises(Failed), Partners(team, noticed.set):
            time.sleep(0.1 * team.rank)
            raise Failed
        time.sleep(0.5)
        return noticed.is_set()

    assert together(2, work) == [False, False]


def test_strangers_at_the_port_are_not_partners():
    class Visited(OneOfSeveral):
        def gather_in_order(self, mine):
            everybody = super().gather_in_order(mine)
            if self.rank == 1:  # before the process itself calls
                for word in (b"GET / HTTP/1.1\r\n\r\n", b""):
                    with socket.create_connection(("localhost", everybody[0][0])) as stranger:
                        stranger.sendall(word)
            return everybody

    def work(team):
        noticed = threading.Event()
        with Partners(Visited(team.rank, team.barrier, team.table), noticed.set) as watched:
            return len(watched.lines), noticed.wait(0.5)

    assert together(2, work) == [(1, False)] * 2


def test_a_launcher_that_is_gone(monkeypatch):
    """Of a process that torchrun has started: a shell may end before what it has started."""
    noticed, watched = threading.Event(), []

    def work(team):
        watched.append(Partners(team, noticed.set))
        with watched[-1]:
            monkeypatch.setattr("os.getppid", lambda: 1)
            return noticed.wait(1.5)

    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert together(2, work) == [False, False]
    monkeypatch.undo()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert together(2, work) == [True, True]


def test_a_first_process_that_cannot_be_reached(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "256.0.0.1")

    def work(team):
        with pytest.raises(ConnectionError, match="cannot reach each other at 256.0.0.1, port"), Partners(team):
            pass
        return True

    assert together(2, work) == [True, True]
