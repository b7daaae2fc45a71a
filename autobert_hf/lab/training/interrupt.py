"""Ctrl-C ends a training after the current step, not in the middle of a write or of a backward pass."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_after_step() -> Iterator[Callable[[], None]]:
    """
    Inside `with`, the first Ctrl-C only sets a flag; the yielded function, called after each step, then raises the
    KeyboardInterrupt. A second Ctrl-C raises it at once. A KeyboardInterrupt inside a callback of torch would be
    lost.
    """
    asked = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread alone
        yield check
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)
