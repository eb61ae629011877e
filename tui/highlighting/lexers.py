"""Tokens of code, for a caller that can wait a moment: the lexers that are tried, and what follows when one fails.

A lexer that ends its process twice isn't run again, and a process that can't be started isn't started forever: code is
plain then. Nothing here knows what tokens look like.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any, Final

from tui.highlighting import lexing
from tui.highlighting.process import LexerProcess, LexerProcessError, Limits
from tui.highlighting.stretches import is_too_much

Run = tuple[int, str]
"""Characters in a row, and the kind of token they are: one of Pygments' short names, such as `kd`."""
Rows = tuple[tuple[Run, ...], ...]
"""The runs of each line, which make up all of it."""

_log = logging.getLogger(__name__)
_LONGEST_NAME: Final = 40
_MOST_UNKNOWN: Final = 256
_STRIKES: Final = 2
"""Processes that a language may end before it stays plain."""
_MOST_ENDED: Final = 24
"""Processes that lexers may end before all code stays plain."""
_FALSE_STARTS: Final = 3
"""Starts that may fail one after another before all code stays plain."""


class Lexers:
    """Runs lexers in a process that is started when the first one is needed. One caller at a time may ask for rows."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: LexerProcess | None = None
        self._lock = Lock()
        self._is_closed = False
        self._false_starts = 0
        self._strikes: Counter[str] = Counter()
        self.ended = 0
        """Processes that were ended by what a lexer did."""
        self._unknown: dict[str, None] = {}

    def leaves_plain(self, lines: Sequence[str], language: str) -> bool:
        """Whether it is clear without a lexer that code stays plain; from any thread, at once."""
        return (
            not language
            or len(language) > _LONGEST_NAME
            or language in self._unknown
            or self._strikes[language] >= _STRIKES
            or self._has_given_up
            or is_too_much(lines)
        )

    @property
    def _has_given_up(self) -> bool:
        return self._is_closed or self._false_starts >= _FALSE_STARTS or self.ended >= _MOST_ENDED

    def rows(self, lines: Sequence[str], language: str) -> Rows | None:
        """Return the tokens of one stretch of code; None where it stays plain.

        Takes as long as the `Limits` allow, and a moment more when the process is to be started.
        """
        if self.leaves_plain(lines, language):
            return None
        process = self._running()
        if process is None:
            return None
        try:
            answer = process.ask(language, "\n".join(lines) + "\n")
        except LexerProcessError as error:
            self._blame(language, error)
            return None
        if answer == lexing.UNKNOWN:
            self._remember_unknown(language)
        return checked_rows(answer, lines)

    def _blame(self, language: str, error: LexerProcessError) -> None:
        self._drop()
        if not self._is_closed:
            self._strikes[language] += 1
            self.ended += 1
            _log.warning("the lexer for %r was stopped: %s", language, error)

    def _remember_unknown(self, language: str) -> None:
        while len(self._unknown) >= _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[language] = None

    def _running(self) -> LexerProcess | None:
        while self._process is None and not self._has_given_up:
            try:
                self._start()
                self._false_starts = 0
            except LexerProcessError as error:
                self._false_starts += 1
                _log.warning("the lexer process did not start: %s", error)
                self._drop()
        return self._process

    def _start(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            process = self._process = LexerProcess(self._limits)
        process.wait_until_ready()

    def _drop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def stop(self) -> None:
        """Have all code stay plain from now on, and end what is under way; from any thread, without waiting."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process; not while another thread asks for rows."""
        self.stop()
        self._drop()


@cache
def kinds() -> frozenset[str]:
    """Return every kind of token that there is."""
    from pygments.token import STANDARD_TYPES

    return frozenset(STANDARD_TYPES.values())


def checked_rows(answer: Any, lines: Sequence[str]) -> Rows | None:
    """Return an answer of the program if it fits the code line by line, otherwise None."""
    if not isinstance(answer, list) or len(answer) != len(lines):
        return None
    if not all(map(_fits, answer, lines)):
        return None
    return tuple(tuple((length, kind) for length, kind in row) for row in answer)


def _fits(row: Any, line: str) -> bool:
    if not isinstance(row, list):
        return False
    total = 0
    for run in row:
        if not isinstance(run, list) or len(run) != 2:
            return False
        length, kind = run
        if type(length) is not int or length < 1 or not isinstance(kind, str):
            return False
        if kind not in kinds():
            return False
        total += length
    return total == len(line)
