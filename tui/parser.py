"""A parser of command lines that says what it has to say safely: a word of a command line can hold escape sequences."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from tui.console import flush_out, write_out
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

    def print_help(self, file: Any = None) -> None:
        """Print the help, on stdout unless a file is given.

        Raises:
            OutputError: stdout can't be written to; argparse would say nothing of it.
        """
        if file is None:
            write_out(self.format_help().removesuffix("\n"))
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
