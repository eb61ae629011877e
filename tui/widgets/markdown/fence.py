"""A fence that is being written: its lines become settled stretches of code and an open stretch."""

from __future__ import annotations

import re
from typing import Final

from tui.widgets.markdown.blocks import Code, Placed
from tui.widgets.markdown.highlight import CodeColors, GrowingCode
from tui.widgets.markdown.parser import language_of

_TAB: Final = 4


class Fence:
    """A top-level fence whose end is unknown."""

    def __init__(self, opening: re.Match[str], colors: CodeColors) -> None:
        self.indent = len(opening[1])
        self.label = opening[3].strip()
        marks = opening[2]
        self._closing = re.compile(rf"^[ ]{{0,3}}{re.escape(marks[0])}{{{len(marks)},}}[ \t]*$")
        self.lines: list[str] = []
        self.is_first = True
        self.awaits_colors = False
        """Whether the open stretch, as last returned, needs colors."""
        self._first_number = 1
        self._language = language_of(self.label)
        self._colors = colors
        self._growing = GrowingCode(self._language, colors)

    def closes(self, line: str) -> bool:
        """Whether `line` ends the fence."""
        return self._closing.match(line) is not None

    def code_line(self, line: str) -> str:
        """Return `line` without the indent of the fence. A tab that reaches beyond the indent leaves spaces."""
        read = column = 0
        while column < self.indent and line[read : read + 1] in (" ", "\t"):
            column += 1 if line[read] == " " else _TAB - column % _TAB
            read += 1
        return " " * (column - self.indent) + line[read:]

    def settled(self, *, is_last: bool) -> Placed:
        """Return the current stretch as a block, and start the next one."""
        code = Code(
            tuple(self.lines),
            self._language,
            self.label if self.is_first else "",
            is_first=self.is_first,
            is_last=is_last,
            first_number=self._first_number,
            rows=self._growing.last_shown(self.lines),
        )
        placed = Placed(code, self.is_first)
        self._first_number += len(self.lines)
        self.lines, self.is_first = [], False
        self._growing = GrowingCode(self._language, self._colors)
        return placed

    def pass_over_line(self) -> None:
        """Count a line that is shown elsewhere."""
        self._first_number += 1

    def growing(self, rest: str) -> Placed:
        """Return the open stretch with the incomplete line `rest`."""
        lines = [*self.lines, self.code_line(rest)]
        rows, self.awaits_colors = self._growing.show(lines)
        if not rest:
            lines, rows = lines[:-1], rows[:-1]
        code = Code(
            tuple(lines),
            self._language,
            self.label if self.is_first else "",
            is_first=self.is_first,
            is_last=False,
            first_number=self._first_number,
            rows=rows,
            awaited=False,
        )
        return Placed(code, self.is_first)
