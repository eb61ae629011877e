"""Ctrl+C is never lost, wherever the program is."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tui.interrupts import INTERRUPTED, ending_at_once

_IN_A_CALLBACK = """
import os, signal, sys, weakref
from tui.interrupts import ending_at_once

# A shell starts what runs in the background with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Held:
    pass

def interrupt(_ref):
    os.kill(os.getpid(), signal.SIGINT)

held = Held()
kept = weakref.ref(held, interrupt)
with ending_at_once():
    del held
print("it goes on")
"""


def test_it_ends_the_program_even_where_exceptions_are_dropped():
    ended = subprocess.run(
        [sys.executable, "-c", _IN_A_CALLBACK],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "")


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_afterwards_all_is_as_before(before):
    kept = signal.signal(signal.SIGINT, before)
    try:
        with ending_at_once():
            is_set = signal.getsignal(signal.SIGINT) is not before
        assert signal.getsignal(signal.SIGINT) is before
        assert is_set == (before is signal.default_int_handler)
    finally:
        signal.signal(signal.SIGINT, kept)
