"""Sentences of the command line, safe to print: a file's name or a chat can hold escape sequences. The screen is not its business."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Final

from tui.errors import UserError
from tui.files import reason
from tui.sanitize import sanitize

_FEWEST_COLORS: Final = 8
_STDERR: Final = 2


class OutputError(UserError):
    """Stdout can't be written to."""


class ReaderGoneError(OutputError):
    """Whoever reads stdout has had enough, as `head` has. That is no failure."""


def obeys_sequences() -> bool:
    """Return whether a terminal does more than print characters: TERM is set, and not to `dumb`."""
    return os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown") or os.name == "nt"


def has_colors() -> bool:
    """Return whether the terminal has colors, as far as terminfo knows it; `vt100`, for one, has none."""
    try:
        import curses
    except ImportError:
        return True
    try:
        curses.setupterm(fd=_STDERR)
    except (OSError, curses.error):
        # A terminal that terminfo doesn't know is most likely a new one.
        return True
    return curses.tigetnum("colors") >= _FEWEST_COLORS


def complain(sentence: str) -> None:
    """Write a sentence to stderr; does nothing where that is closed or the terminal is gone."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sanitize(sentence)}\n")


def write_out(text: str) -> None:
    """Write a text and the end of a line to stdout: as it is into a file or pipe, made safe to show on a terminal.

    Raises:
        OutputError: that can't be done.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        text = sanitize(text)
    _write(text.encode("utf-8", "replace").decode("utf-8") + "\n")


def flush_out() -> None:
    """Have everything written that was printed so far.

    Raises:
        OutputError: that can't be done.
    """
    if sys.stdout is not None:
        with _told():
            sys.stdout.flush()


def discard_out() -> None:
    """Let nothing more be written to stdout. Python would complain once more when it closes it."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OutputError("Nothing can be printed: stdout is closed.")
    with _told():
        sys.stdout.write(text)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise what stdout says as an error for people."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError("Nobody reads the output.") from error
    except OSError as error:
        raise OutputError(f"The output can't be written ({reason(error)}).") from error
