"""The processes of a run notice that one of them is gone, whatever they are waiting for."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from uuid import uuid4

from autobert_hf.lab.training.team import LOST, Team


BEAT = 2.0  # seconds between two signs of life
QUIET = 45.0  # so long without one, and a process counts as dead: its machine may be off, which closes no connection
GRACE = 5.0  # for a process that is ending by itself, to say why


def end_process() -> None:
    """At once: the main thread may wait in an exchange that no exception and no signal handler ends."""
    sys.stdout.flush()
    sys.stderr.write(f"\nautobert: {LOST}\n")
    sys.stderr.flush()
    os._exit(1)


class Partners:
    """
    Inside `with`, a process that is lost ends all others of the team within a minute, by `on_lost`. Also one that was
    left by an exception, or whose launcher is gone, is lost. Leaving in peace waits for all.

    Every process has a connection to the first one, and the first one to all; signs of life go both ways. Exchanges of
    torch are no substitute: how soon they notice depends on the backend, and between them is nobody who could.
    """

    def __init__(self, team: Team, on_lost: Callable[[], object] = end_process) -> None:
        self.team = team
        self.on_lost = on_lost
        self.leaving = threading.Event()
        self.lines: list[socket.socket] = []

    def __enter__(self) -> "Partners":
        if self.team.size > 1:
            self.lines = self._connect()
            for line in self.lines:
                threading.Thread(target=self._listen, args=(line,), daemon=True).start()
            threading.Thread(target=self._beat, args=(os.getppid(),), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leaving.set()
        try:
            if kind is None:
                self.team.wait()
        finally:
            for line in self.lines:
                line.close()

    def _connect(self) -> list[socket.socket]:
        """
        Raises:
            ConnectionError: if the first process cannot be reached.
        """
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        with socket.create_server(("", 0), family=family, dualstack_ipv6=socket.has_dualstack_ipv6()) as server:
            port, word = self.team.gather_in_order([(server.getsockname()[1], uuid4().bytes)])[0]
            server.settimeout(QUIET)
            host = os.environ.get("MASTER_ADDR", "localhost")
            try:
                return self._accept(server, word) if self.team.is_main else [self._call(host, port, word)]
            except OSError as error:
                raise ConnectionError(
                    f"The processes of this run cannot reach each other at {host}, port {port} ({error}): allow "
                    "connections between its machines, on any port."
                ) from error

    def _accept(self, server: socket.socket, word: bytes) -> list[socket.socket]:
        lines: list[socket.socket] = []
        while len(lines) < self.team.size - 1:
            line, _ = server.accept()
            line.settimeout(QUIET)
            with suppress(OSError):  # others knock at open ports too
                if line.recv(len(word), socket.MSG_WAITALL) == word:
                    lines.append(line)
        return lines

    def _call(self, host: str, port: int, word: bytes) -> socket.socket:
        line = socket.create_connection((host, port), timeout=QUIET)
        line.sendall(word)
        return line

    def _beat(self, parent: int) -> None:
        launched = (
            "TORCHELASTIC_RUN_ID" in os.environ
        )  # by torchrun or accelerate; a shell may well end before its jobs
        while not self.leaving.wait(BEAT):
            for line in self.lines:
                with suppress(OSError):  # the listener will notice
                    line.sendall(b".")
            if launched and os.getppid() != parent:
                self._lost()

    def _listen(self, line: socket.socket) -> None:
        with suppress(OSError):
            while line.recv(64):
                pass
        self._lost()

    def _lost(self) -> None:
        if not self.leaving.wait(GRACE):
            self.on_lost()
