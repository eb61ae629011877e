"""Work that may never end is left behind, and never more than one of it."""

import threading
import time
from functools import partial

import pytest

from tui.engine.attempts import Attempts, StuckError, never
from tui.engine.base import Cancelled

PATIENCE_S = 20


def test_an_attempt_gives_back_what_its_work_makes_or_raises():
    attempts = Attempts(PATIENCE_S)
    assert attempts.run(lambda: 7, never) == 7
    for error in (ZeroDivisionError, TimeoutError, KeyboardInterrupt):
        with pytest.raises(error):
            attempts.run(partial(fail, error), never)


def fail(error):
    raise error


def test_python_code_that_is_left_behind_is_ended_and_makes_room():
    attempts = Attempts(0.05)
    with pytest.raises(StuckError, match=r"0\.05 seconds"):
        attempts.run(spin, never)
    wait_for_room(attempts)
    with pytest.raises(Cancelled):
        Attempts(PATIENCE_S).run(spin, lambda: True)


def spin():
    while True:
        pass


def wait_for_room(attempts):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            assert attempts.run(lambda: 1, never) == 1
        except StuckError:
            continue
        return
    raise AssertionError


def test_nothing_is_begun_beside_what_was_left_behind():
    attempts, release = Attempts(PATIENCE_S), threading.Event()
    with pytest.raises(Cancelled):
        # A wait in compiled code does not see that it should end.
        attempts.run(lambda: release.wait(PATIENCE_S), lambda: True)
    ran = []
    with pytest.raises(StuckError, match="still running"):
        attempts.run(lambda: ran.append(1), never)
    assert not ran
    release.set()
    wait_for_room(attempts)
