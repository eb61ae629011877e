"""A program in a terminal, as a person at the keyboard has it: a real pty, and a screen that understands escape sequences.

The helpers wait for what is seen, never for a time to pass. It knows nothing of the app; `conftest.py` starts that in it.
"""

from __future__ import annotations

import os
import signal
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

import pexpect
import psutil
import pyte

_NO_PROSE_S = 0.6
_KEYS: Final = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f4": "\x1bOS",
    "alt+up": "\x1b[1;3A",
    "alt+down": "\x1b[1;3B",
    "alt+l": "\x1bl",
    "alt+1": "\x1b1",
    "alt+2": "\x1b2",
}
_READ_BYTES: Final = 65536
# Modes that a full-screen app switches on and must switch off again, by their DEC private numbers.
_MODES: Final = {"alternate screen": 1049, "mouse": 1003, "focus events": 1004, "paste marks": 2004}
_CURSOR: Final = 25


class ScreenTimeoutError(AssertionError):
    """What was waited for never came up; the message has the screen as it was at the end."""


class Terminal:
    """Runs one command in a pseudo-terminal of its own.

    Attributes:
        raw: every byte that the program has written.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        columns: int = 100,
        rows: int = 30,
    ) -> None:
        self.raw = bytearray()
        self._drawn_bytes = 0
        self._screen = pyte.Screen(columns, rows)
        self._text = self._read_screen()
        self._stream = pyte.ByteStream(self._screen)
        self._process = pexpect.spawn(
            command[0],
            list(command[1:]),
            env=dict(env),
            dimensions=(rows, columns),
            timeout=None,
        )
        self._process.delaybeforesend = None
        self._flags_before = self._flags_after = self._line_flags()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program, whatever it is doing."""
        if self._process.isalive():
            self._process.kill(signal.SIGKILL)
        self._process.close(force=True)

    # -- the keyboard

    def type(self, text: str) -> None:
        """Type text, key after key."""
        self._process.send(text)

    def press(self, *keys: str) -> None:
        """Press keys by name, as in `ctrl+q`, `enter` or `a`."""
        for key in keys:
            if key.startswith("ctrl+"):
                self._process.send(chr(ord(key[-1].upper()) - 64))
            else:
                self._process.send(_KEYS.get(key, key))
            if key == "escape":
                # What follows at once would be read as one sequence with it.
                self._pump(0.15)

    def act(self, *keys: str) -> None:
        """Press keys that are commands on a turn, slowly enough that they are no prose."""
        for key in keys:
            self.press(key)
            self._pump(_NO_PROSE_S)

    def rest(self) -> None:
        """Type nothing for as long as it takes for the next letter to be a command."""
        time.sleep(_NO_PROSE_S)
        self._pump(_NO_PROSE_S)

    def paste(self, text: str) -> None:
        """Paste text, as a terminal with bracketed paste does."""
        self._process.send(f"\x1b[200~{text}\x1b[201~")

    def children(self) -> list[psutil.Process]:
        """The processes that the program has started, and those that these have."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._process.kill(number)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._draw()
        self._screen.resize(rows, columns)
        self._text = self._read_screen()
        self._process.setwinsize(rows, columns)

    # -- the screen

    @property
    def text(self) -> str:
        """The screen as lines of text, without trailing spaces."""
        self._draw()
        return self._text

    def wait_for(self, wanted: str | Callable[[str], object], timeout_s: float = 30.0) -> str:
        """Read on until the screen shows a text, or a predicate on its text holds; return the text.

        Raises:
            ScreenTimeoutError: it did not in time, or the program ended first.
        """
        seen = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + timeout_s
        while not seen(self.text):
            ended = not self._pump(0.05)
            if seen(self.text):
                break
            if ended or time.monotonic() > deadline:
                why = "the program ended" if ended else f"nothing after {timeout_s:.0f} s"
                what = repr(wanted) if isinstance(wanted, str) else "a condition on the screen"
                raise ScreenTimeoutError(f"waited for {what}: {why}\n{self.text}")
        return self.text

    def wait_until(self, happened: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Read on until something outside the screen is so, such as a file being there; also after the program has ended.

        Raises:
            ScreenTimeoutError: it was not in time, or the program ended while it was waited for.
        """
        deadline = time.monotonic() + timeout_s
        was_running = self._process.isalive()
        while not happened():
            ended = not self._pump(0.05)
            if happened():
                break
            if (ended and was_running) or time.monotonic() > deadline:
                why = "the program ended" if ended else f"nothing after {timeout_s:.0f} s"
                raise ScreenTimeoutError(f"waited for something outside: {why}\n{self.text}")
            if ended:
                time.sleep(0.05)

    # -- the end

    def wait_for_exit(self, timeout_s: float = 30.0) -> int:
        """Read to the end of the program's output; return its exit code, or minus the signal that ended it.

        Raises:
            ScreenTimeoutError: it did not end in time.
        """
        deadline = time.monotonic() + timeout_s
        while self._pump(0.05):
            if time.monotonic() > deadline:
                raise ScreenTimeoutError(f"it did not end within {timeout_s:.0f} s\n{self.text}")
        flags = self._line_flags()
        self._process.wait()
        self._flags_after = flags
        code, number = self._process.exitstatus, self._process.signalstatus
        return code if code is not None else -(number or 0)

    def hang_up(self, timeout_s: float = 30.0) -> None:
        """Close the terminal under the program, and wait until that has ended.

        Raises:
            ScreenTimeoutError: it did not end in time.
        """
        self._process.ptyproc.fileobj.close()
        deadline = time.monotonic() + timeout_s
        while self._process.isalive():
            if time.monotonic() > deadline:
                raise ScreenTimeoutError(f"it did not end within {timeout_s:.0f} s\n{self.text}")
            time.sleep(0.05)

    def unrestored(self) -> list[str]:
        """Return what the program, now ended, left other than it had found it; empty when the terminal is as before."""
        left = [name for name, mode in _MODES.items() if self._mode(mode) is True]
        if self._mode(_CURSOR) is False:
            left.append("cursor hidden")
        if self._flags_after != self._flags_before:
            left.append("line discipline")
        return left

    def _mode(self, number: int) -> bool | None:
        on, off = (self.raw.rfind(b"\x1b[?%d%c" % (number, end)) for end in b"hl")
        return None if on == off == -1 else on > off

    def _line_flags(self) -> tuple[int, ...]:
        try:
            return tuple(termios.tcgetattr(self._process.child_fd)[:4])
        except termios.error:
            return ()

    def _pump(self, timeout_s: float) -> bool:
        """Read what there is, waiting so long for the first byte; return False when nothing is left at the end of the output."""
        before_bytes = len(self.raw)
        try:
            self.raw += self._process.read_nonblocking(_READ_BYTES, timeout_s)
            # A terminal hands a frame on in small pieces, and to look at the screen after each would take most of the time.
            while len(self.raw) - before_bytes < _READ_BYTES:
                self.raw += self._process.read_nonblocking(_READ_BYTES, 0)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, OSError):
            # What came with the end is looked at first.
            return len(self.raw) > before_bytes
        return True

    def _draw(self) -> None:
        """Bring the screen up to date: only when it is looked at, for it takes a lot of time beside a program that is measured."""
        if self._drawn_bytes < len(self.raw):
            self._stream.feed(bytes(self.raw[self._drawn_bytes :]))
            self._drawn_bytes = len(self.raw)
            self._text = self._read_screen()

    def _read_screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)


_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "CHAT_TUI_MODEL_PROCESS")
"""The last one is for running the tests with the engine on a thread of the app."""


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment that has nothing of the one who runs the tests but what they need."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        **more,
    }
