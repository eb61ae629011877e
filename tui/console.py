"""Sentences of the command line, safe to print: a file's name or a chat can hold escape sequences. The screen is not its business."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from tui.sanitize import sanitize


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

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and exit with code 2."""
        super().error(sanitize(message))


def complain(sentence: str) -> None:
    """Write a sentence to stderr; does nothing where that is closed or the terminal is gone."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sanitize(sentence)}\n")


def write_out(text: str) -> None:
    """Write a text to stdout: as it is into a file or pipe, made safe to show on a terminal."""
    if sys.stdout.isatty():
        text = sanitize(text)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
