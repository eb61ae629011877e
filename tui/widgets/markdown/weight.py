"""What a stretch of Markdown costs to parse and lay out, told from its source without parsing it.

markdown-it looks at each line once for every quote and list around it, and makes a cell of each row for every column of its
table. A weight counts that in characters of plain prose, so that one limit holds for texts of every shape. The weight
of a text never falls when text is added at its end: what was too heavy while it streamed in is too heavy when opened.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = 20
"""A line, beside its characters."""
_LEVEL: Final = 6
"""A line in a quote, list or footnote, for each of those around it."""
_CELL: Final = 8
"""A row of a table, for each of its columns, and a line for each sign that may divide it into cells."""
_TAB: Final = 6
_DEEPEST: Final = 20
"""Levels beyond which markdown-it opens none."""
_OPENINGS: Final = re.compile(r"(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)]|\[\^[^\]\s]+\]:)(?=\s)))*[ \t]*")
_MARK: Final = re.compile(r">|[-+*]|\d+[.)]|\[\^")
_COLUMNS: Final = re.compile(r"[-:|> \t]*-[-:|> \t]*")


class _Container:
    """How deep and how wide the lines that come next may lie."""

    def __init__(self) -> None:
        self._nested = self._levels = self._columns = 0

    def weight(self, line: str) -> int:
        """Return what `line`, the next one, weighs."""
        if line.isspace():
            self._levels = self._columns = 0
            return len(line) + _LINE
        found = _OPENINGS.match(line)
        opened = found[0] if found is not None else ""
        marks = len(_MARK.findall(opened))
        indent = len(opened) - len(opened.lstrip(" \t")) if opened else 0
        indent += 3 * line.count("\t", 0, indent)
        levels = min(_DEEPEST, marks + min(indent // 2, self._nested))
        self._nested = max(self._nested, levels)
        # Without an empty line between, a line goes on with the paragraph above it, however deep that is.
        self._levels = max(self._levels, levels)
        weight = len(line) + _LINE + _LEVEL * self._levels + _CELL * self._columns
        if "-" in line and _COLUMNS.fullmatch(line.rstrip("\n")):
            self._columns = max(self._columns, line.count("|") + 1)
        return weight + _TAB * line.count("\t") + _CELL * line.count("|")


def reach(text: str, limit: int, *, before: str = "") -> int:
    """Return how many characters at the start of `text`, in whole lines, weigh at most `limit`.

    Args:
        text: sanitized Markdown that begins with a block.
        limit: in characters of plain prose.
        before: lines that stand above it for the parser, and weigh nothing.
    """
    container = _Container()
    for line in before.splitlines(keepends=True):
        container.weight(line)
    start = weight = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if end - start > limit:
            return start
        weight += container.weight(text[start:end])
        if weight > limit:
            return start
        start = end
    return start
