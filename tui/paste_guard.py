"""Keeps a paste a paste, whatever bytes are in it.

Textual's input parser looks for escape sequences inside a bracketed paste too, and hands what follows one on as key
presses: pasted text that holds an ESC would send itself, or move the cursor. The driver here makes every ESC within a
paste visible before the parser sees it.

The parser also takes Alt with a digit for one of the signs that a Mac types with it. Here it stays a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TextIO

import textual.drivers.linux_driver as linux_driver
from textual import events
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.message import Message

_START: Final = "\x1b[200~"
_END: Final = "\x1b[201~"
_ESC: Final = "\x1b"
_SHOWN: Final = "␛"
_ALT_SIGNS: Final = {f"{_ESC}{digit}": f"alt+{digit}" for digit in "0123456789"} | {
    f"{_ESC}-": "alt+minus",
    f"{_ESC}=": "alt+equals_sign",
}
"""What most terminals and tmux send for Alt with a digit or sign; a sign that is really typed comes as itself, without ESC."""


class PasteGuard:
    """Follows the input from one piece to the next."""

    def __init__(self) -> None:
        self._in_paste = False
        self._matched = 0
        """How many characters of the mark that is looked for came last; those of the end mark are held back."""

    def filtered(self, data: str) -> str:
        """Return the next piece of input with each ESC inside a paste replaced by a visible sign."""
        if not self._in_paste and not self._matched and _ESC not in data:
            return data
        out: list[str] = []
        for character in data:
            if self._in_paste:
                self._within(character, out)
            else:
                self._outside(character)
                out.append(character)
        return "".join(out)

    def _outside(self, character: str) -> None:
        if character == _START[self._matched]:
            self._matched += 1
        else:
            self._matched = int(character == _ESC)
        if self._matched == len(_START):
            self._in_paste, self._matched = True, 0

    def _within(self, character: str, out: list[str]) -> None:
        if character == _END[self._matched]:
            self._matched += 1
            if self._matched == len(_END):
                out.append(_END)
                self._in_paste, self._matched = False, 0
            return
        held = _END[: self._matched]
        out.append(held.replace(_ESC, _SHOWN))
        self._matched = int(character == _ESC)
        if not self._matched:
            out.append(character)


class GuardedParser(XTermParser):
    """Textual's parser behind a `PasteGuard`."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._guard = PasteGuard()

    def feed(self, data: str) -> Iterable[Message]:
        """Parse the next piece of input."""
        filtered = self._guard.filtered(data)
        # An empty piece would end the input; here it only means that all of this one is held back.
        return super().feed(filtered) if filtered or not data else ()

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if key := _ALT_SIGNS.get(sequence):
            return (events.Key(key, None),)
        return super()._sequence_to_key_events(sequence, alt)


class LastingOutput:
    """A terminal to write to that may go away: from then on what is written is dropped.

    Textual's thread that writes would end with the error, and the app would wait for it for ever.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._is_gone = False

    def write(self, text: str) -> int:
        """Write a text, if there is anything to write it to."""
        if not self._is_gone:
            try:
                self._file.write(text)
            except OSError:
                self._is_gone = True
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, if there is anything to hand it to."""
        if not self._is_gone:
            try:
                self._file.flush()
            except OSError:
                self._is_gone = True

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._file.fileno()


class GuardedDriver(linux_driver.LinuxDriver):
    """The terminal driver, with the guarded parser, and an output that outlasts the terminal."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._file: Any = LastingOutput(self._file)

    def run_input_thread(self) -> None:
        """Read the terminal until the app ends."""
        # The driver has no other way to be given a parser.
        vars(linux_driver)["XTermParser"] = GuardedParser
        super().run_input_thread()


def guarded(driver: type[Driver]) -> type[Driver]:
    """Return the driver to use in place of Textual's choice."""
    return GuardedDriver if driver is linux_driver.LinuxDriver else driver
