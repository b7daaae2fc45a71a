"""Ctrl-C waits for the end of the step; the second one does not."""

import os
import signal

import pytest

from autobert_hf.lab.training.interrupt import stop_after_step


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_waits_for_the_end_of_the_step():
    before = signal.getsignal(signal.SIGINT)
    done = []
    with pytest.raises(KeyboardInterrupt), stop_after_step() as check:
        for step in range(3):
            if step == 1:
                press_ctrl_c()
            done.append(step)
            check()
    assert done == [0, 1]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_does_not_wait():
    with pytest.raises(KeyboardInterrupt), stop_after_step():
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("the second Ctrl-C was not heard")
