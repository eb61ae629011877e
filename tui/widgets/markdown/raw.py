"""The source of a text as lines, wrapped but otherwise as it was written; cheap while the text grows."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Final

from tui.sanitize import sanitize
from tui.widgets.markdown.document import WAITING, Lines
from tui.widgets.markdown.lines import Line, Span, wrap

_PIECE: Final = 4_000
"""Characters wrapped before the time is checked again; a longer line is wrapped in pieces."""


class RawText:
    """Lays out a growing source; complete lines are wrapped once."""

    def __init__(self) -> None:
        self._width = 0
        self._upto = 0
        self._settled: list[Line] = []
        self.is_waiting = False
        """Whether `lines` ran out of time; call it again for the rest."""

    def lines(self, source: str, width: int, *, budget_s: float = math.inf) -> Lines:
        """Return `source` at `width` cells. Between calls, the source only grows.

        After about `budget_s` seconds, what is ready is returned, and `is_waiting` is true.
        """
        if width != self._width:
            self._width, self._upto, self._settled = width, 0, []
        deadline = time.perf_counter() + budget_s
        self.is_waiting = False
        while cut := self._cut(source):
            line_ends = source[cut - 1] == "\n"
            piece = source[self._upto : cut]
            lines = self._wrapped(
                piece.removesuffix("\n").removesuffix("\r") if line_ends else piece
            )
            if not line_ends:
                lines[-1] = replace(lines[-1], joint="")
            self._settled.extend(lines)
            self._upto = cut
            if time.perf_counter() > deadline:
                self.is_waiting = True
                return Lines(self._settled, [WAITING])
        return Lines(self._settled, self._wrapped(source[self._upto :]))

    def _cut(self, source: str) -> int:
        """Return the end of the next piece; 0 if nothing is complete. It depends only on the source."""
        limit = self._upto + _PIECE
        if len(source) < limit:
            end = source.rfind("\n", self._upto) + 1
        else:
            end = source.rfind("\n", self._upto, limit) + 1
            # A carriage return and the newline after it are one line end.
            end = end or (limit - 1 if source[limit - 1] == "\r" else limit)
        return end if end > self._upto else 0

    def _wrapped(self, text: str) -> list[Line]:
        return wrap([Span(sanitize(text), "raw")], self._width)
