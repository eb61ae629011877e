"""Sentences of the command line, safe to print: a file's name or a chat can hold escape sequences. The screen is not its business."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

from tui.errors import UserError
from tui.files import reason
from tui.sanitize import sanitize

_FEWEST_COLORS: Final = 8
_STDERR: Final = 2


class OutputError(UserError):
    """Stdout can't be written to."""


class ReaderGoneError(OutputError):
    """Whoever reads stdout has had enough, as `head` has. That is no failure."""


class Parser(argparse.ArgumentParser):
    """Parses arguments; what it has to complain about is safe to print."""

    def __init__(self, *, examples: Sequence[str] = (), **options: Any) -> None:
        """Make it.

        Args:
            examples: command lines that its help shows first.
            options: as argparse takes them.
        """
        super().__init__(**options)
        self.examples = tuple(examples)

    def format_help(self) -> str:
        """Return the help, with the examples behind the usage."""
        usage, gap, rest = super().format_help().partition("\n\n")
        shown = "".join(f"\n  {one}" for one in self.examples)
        return f"{usage}\n\nexamples:{shown}{gap}{rest}" if shown else f"{usage}{gap}{rest}"

    def print_help(self, file: Any = None) -> None:
        """Print the help, on stdout unless a file is given.

        Raises:
            OutputError: stdout can't be written to; argparse would say nothing of it.
        """
        if file is None:
            _write(self.format_help())
        else:
            super().print_help(file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit when everything is printed.

        Raises:
            OutputError: stdout can't be written to.
        """
        if not status:
            flush_out()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and exit with code 2."""
        super().error(sanitize(message))


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


class PrintVersion(argparse.Action):
    """Prints the version and exits, like argparse's own action, but notices when that can't be written."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        """Create it.

        Args:
            option_strings, dest: as argparse gives them.
            options: what argparse takes besides, and `version`, the text to print.
        """
        version = options.pop("version")
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)
        self._version = str(version)

    def __call__(self, parser: argparse.ArgumentParser, *_parsed: Any) -> NoReturn:
        """Print the version and exit."""
        write_out(self._version)
        parser.exit()


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
