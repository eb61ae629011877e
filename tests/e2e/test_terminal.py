"""The harness itself: it must see what is on the screen, and what a program leaves behind."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.e2e.terminal import ScreenTimeoutError, Terminal, clean_environment


def _terminal(script: str) -> Terminal:
    return Terminal([sys.executable, "-c", script], env=clean_environment())


def test_it_shows_what_is_on_the_screen_and_not_what_was_written():
    with _terminal(r"print('wrong\rright'); input(); print('\x1b[2Jbye')") as terminal:
        terminal.wait_for("right")
        assert "wrong" not in terminal.text
        terminal.press("enter")
        terminal.wait_for("bye")
        assert "right" not in terminal.text
        assert terminal.wait_for_exit() == 0


def test_waiting_for_what_never_comes_ends_with_the_screen_in_the_message():
    with _terminal("print('hello')") as terminal, pytest.raises(ScreenTimeoutError, match="hello"):
        terminal.wait_for("goodbye")


def test_a_program_that_restores_the_terminal_leaves_nothing():
    with _terminal(r"print('\x1b[?1049h\x1b[?25l hi \x1b[?1049l\x1b[?25h')") as terminal:
        assert terminal.wait_for_exit() == 0
        assert terminal.unrestored() == []


@pytest.mark.parametrize(
    ("script", "left"),
    [
        (r"print('\x1b[?1049h')", ["alternate screen"]),
        (r"print('\x1b[?25l')", ["cursor hidden"]),
        (r"print('\x1b[?1003h\x1b[?1003l\x1b[?1003h')", ["mouse"]),
        ("import tty; tty.setraw(0)", ["line discipline"]),
    ],
)
def test_a_program_that_does_not_is_found_out(script, left):
    with _terminal(script) as terminal:
        assert terminal.wait_for_exit() == 0
        assert terminal.unrestored() == left


def test_the_signal_that_ended_a_program_is_its_exit_code():
    with _terminal("print('up'); input()") as terminal:
        terminal.wait_for("up")
        terminal.send_signal(signal.SIGKILL)
        assert terminal.wait_for_exit() == -signal.SIGKILL
